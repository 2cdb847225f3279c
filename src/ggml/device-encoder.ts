import { canEncodeQ4k, type Device, DTYPES, decodeToF32, encodeQ4k } from '../tensor/index.js';
import type { EncodeJob } from './encode-job.js';
import { refuseUnfit } from './encode-rows.js';
import type { RowEncoder } from './row-encoder.js';

/**
 * An encoder that has the open device encode what it has a kernel for (Q4_K without weights of columns), and `encoder` all else. A
 * device's blocks are of the same search: nearly all bytes are the same, and the others err as much (docs/kernels.md). Throws as
 * `encodeRows`; closing it closes `encoder`.
 */
export function encoderOn(device: Device, encoder: RowEncoder): RowEncoder {
  return {
    encode: (job) => (takesJob(device, job) ? encodeOn(device, job) : encoder.encode(job)),
    close: () => encoder.close(),
  };
}

function takesJob(device: Device, { bytes, from, to, columns, weights }: EncodeJob): boolean {
  const floats = (bytes.length * 8) / DTYPES[from].bits;
  return (
    to === 'Q4_K' &&
    weights === undefined &&
    columns % DTYPES.Q4_K.blockElements === 0 &&
    Number.isInteger(floats / columns) &&
    4 * floats <= device.maxTensorBytes &&
    canEncodeQ4k()
  );
}

async function encodeOn(device: Device, { bytes, from, columns }: EncodeJob): Promise<Uint8Array> {
  const values = decodeToF32(bytes, from);
  refuseUnfit(values, 'Q4_K');
  return encodeQ4k(device, { values, rows: values.length / columns, columns });
}
