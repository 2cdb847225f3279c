/**
 * Which values are not 0, a bit each (bit i % 8, lowest first, of byte ⌊i / 8⌋): a thirty-second of a float mask, for it lies in memory
 * as long as training goes on. Undefined where none is 0.
 */
export function nonZeroBits(values: Float32Array): Uint8Array | undefined {
  const bits = new Uint8Array(Math.ceil(values.length / 8));
  let zeros = 0;
  for (let i = 0; i < values.length; i += 1) {
    if (values[i] === 0) zeros += 1;
    else bits[Math.floor(i / 8)]! |= 1 << (i % 8);
  }
  return zeros === 0 ? undefined : bits;
}

/** The bits of `count` values from `first` on as 1 and 0. */
export function bitsAsFloats(bits: Uint8Array, first: number, count: number): Float32Array {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 1) {
    const at = first + i;
    values[i] = (bits[Math.floor(at / 8)]! >> (at % 8)) & 1;
  }
  return values;
}
