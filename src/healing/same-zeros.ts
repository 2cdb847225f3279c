import { type Dtype, decodeToF32, encodeFromF32 } from '../tensor/index.js';

/**
 * Values as they are stored: what is 0 in `before` is 0 then, bit for bit, and what is not 0 stays different from 0. A value that its type
 * would round to 0 keeps the one that was there: how many weights are gone is no matter of rounding.
 */
export function withSameZeros(values: Float32Array, before: Uint8Array, dtype: Dtype): Uint8Array {
  const bytes = encodeFromF32(values, dtype);
  const [was, is] = [decodeToF32(before, dtype), decodeToF32(bytes, dtype)];
  const width = bytes.length / Math.max(1, values.length);
  for (let i = 0; i < is.length; i += 1) {
    if (was[i] !== 0 && is[i] !== 0) continue;
    bytes.set(before.subarray(i * width, (i + 1) * width), i * width);
  }
  return bytes;
}
