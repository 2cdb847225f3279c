/** 16-bit floats of a checkpoint that a device multiplies by as they are. */
export type StoredFormat = 'bf16' | 'f16';

/**
 * Rows of 16-bit floats as words of two, the first in the low half; each row starts at a word of its own, and the second half of an
 * odd row's last word is zero. [rows, ⌈columns / 2⌉], row-major; of even rows the same bytes, and not copied where they lie at a
 * multiple of 4.
 */
export function packHalves(bytes: Uint8Array, rows: number, columns: number): Int32Array {
  if (bytes.length !== 2 * rows * columns) {
    throw new RangeError(`${bytes.length} bytes are not ${rows} x ${columns} floats of 16 bits.`);
  }
  if (columns % 2 === 0) {
    const { buffer, byteOffset, byteLength } = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
    return new Int32Array(buffer, byteOffset, byteLength / 4);
  }
  const stride = (columns + 1) / 2;
  const padded = new Uint8Array(4 * rows * stride);
  for (let row = 0; row < rows; row += 1) {
    padded.set(bytes.subarray(2 * row * columns, 2 * (row + 1) * columns), 4 * row * stride);
  }
  return new Int32Array(padded.buffer);
}
