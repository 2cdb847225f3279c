import type { Checkpoint, TensorInfo } from '../../checkpoint/index.js';
import { DTYPES, isBlockDtype } from '../../tensor/index.js';
import type { ByteRange, Derivation } from './derivation.js';

/**
 * A matrix of at most so many bytes is turned whole and kept until the next one is asked for, since whoever reads it in chunks would
 * otherwise read all of it for each chunk. The largest of GPT-2 XL have 41 MB in float32.
 */
const MOST_KEPT_BYTES = 64 * 1024 * 1024;
/** Stored bytes that are read at once while a larger matrix is turned; one row may be longer. */
const SLAB_BYTES = 8 * 1024 * 1024;

/** The matrix with rows and columns exchanged: of GPT-2's weights, which are stored [in, out]. Beside the result 72 MiB at most. */
export function transposed(): Derivation {
  // Chunks come in order, of one tensor at a time.
  let kept: { readonly source: Checkpoint; readonly name: string; readonly bytes: Promise<Uint8Array> } | undefined;
  return {
    describe: ([stored]) => {
      const { dtype, shape, byteLength, name } = stored!;
      if (shape.length !== 2 || isBlockDtype(dtype)) throw new RangeError(`${name} is no matrix that can be turned.`);
      return { dtype, shape: [shape[1]!, shape[0]!], byteLength };
    },
    async read({ offset, length }, [stored], source) {
      const info = stored!;
      if (info.byteLength > MOST_KEPT_BYTES) return turned(info, { offset, length }, source);
      if (kept?.source !== source || kept.name !== info.name) {
        kept = { source, name: info.name, bytes: turned(info, { offset: 0, length: info.byteLength }, source) };
      }
      const { bytes } = kept;
      if (offset + length === info.byteLength) kept = undefined;
      return (await bytes).slice(offset, offset + length);
    },
  };
}

/** A range of the turned matrix, whose rows are the stored columns: gathered from slabs of stored rows. */
async function turned(info: TensorInfo, { offset, length }: ByteRange, source: Checkpoint): Promise<Uint8Array> {
  const cellBytes = DTYPES[info.dtype].bits / 8;
  const [storedRows = 0, storedColumns = 0] = info.shape;
  const rowBytes = storedRows * cellBytes;
  const firstRow = Math.floor(offset / Math.max(1, rowBytes));
  const rows = length === 0 ? 0 : Math.ceil((offset + length) / rowBytes) - firstRow;
  const result = new Uint8Array(rows * rowBytes);
  const storedRowBytes = storedColumns * cellBytes;
  const most = Math.max(1, Math.floor(SLAB_BYTES / Math.max(1, storedRowBytes)));
  for (let row = 0; row < storedRows; row += most) {
    const count = Math.min(most, storedRows - row);
    const slab = await source.read(info.name, { offset: row * storedRowBytes, length: count * storedRowBytes });
    for (let column = firstRow; column < firstRow + rows; column += 1) {
      for (let within = 0; within < count; within += 1) {
        const from = within * storedRowBytes + column * cellBytes;
        const to = (column - firstRow) * rowBytes + (row + within) * cellBytes;
        for (let byte = 0; byte < cellBytes; byte += 1) result[to + byte] = slab[from + byte]!;
      }
    }
  }
  const start = offset - firstRow * rowBytes;
  return result.subarray(start, start + length);
}
