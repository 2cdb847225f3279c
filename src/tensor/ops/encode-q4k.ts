import { dispose, type Tensor } from '@tensorflow/tfjs-core';
import type { Device } from '../device.js';
import { hasDeviceKernel, runDeviceKernel } from '../kernels.js';

/** A row-major matrix on the host. */
interface HostValues {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** Whether the open device encodes ggml's Q4_K. */
export function canEncodeQ4k(): boolean {
  return hasDeviceKernel('birdbone.EncodeQ4K');
}

/** The matrix in ggml's Q4_K, its columns a multiple of 256: the bytes of its blocks, row after row. */
export async function encodeQ4k(device: Device, matrix: HostValues): Promise<Uint8Array> {
  const values = device.upload(matrix.values, [matrix.rows, matrix.columns]);
  const words = runDeviceKernel<Tensor>('birdbone.EncodeQ4K', { values });
  try {
    const { buffer, byteOffset, byteLength } = (await device.read(words)) as Int32Array;
    return new Uint8Array(buffer, byteOffset, byteLength);
  } finally {
    dispose([values, words]);
  }
}
