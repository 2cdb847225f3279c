import { halfValues } from './half.js';

/**
 * Blocks of 32 elements with one half-precision scale d, and in the `_1` types a minimum m: the element of code q is
 * d · (q − offset), or d · q + m. A byte of `qs` holds element i in its low half and element i + 16 in its high half.
 *
 * The product of an 11-bit scale and a code of up to 8 bits, and its sum with another half-precision number, are exact in
 * float64; so storing them rounds once, as ggml's float arithmetic does.
 */
const HALF_BLOCK = 16;

/** d, qs[16]; offset 8. */
export function dequantizeQ40(blocks: Uint8Array, values: Float32Array): void {
  const half = halfValues();
  for (let block = 0, out = 0; block < blocks.length; block += 18, out += 32) {
    const d = half[blocks[block]! | (blocks[block + 1]! << 8)]!;
    for (let i = 0; i < HALF_BLOCK; i += 1) {
      const codes = blocks[block + 2 + i]!;
      values[out + i] = d * ((codes & 15) - 8);
      values[out + i + HALF_BLOCK] = d * ((codes >>> 4) - 8);
    }
  }
}

/** d, m, qs[16]. */
export function dequantizeQ41(blocks: Uint8Array, values: Float32Array): void {
  const half = halfValues();
  for (let block = 0, out = 0; block < blocks.length; block += 20, out += 32) {
    const d = half[blocks[block]! | (blocks[block + 1]! << 8)]!;
    const m = half[blocks[block + 2]! | (blocks[block + 3]! << 8)]!;
    for (let i = 0; i < HALF_BLOCK; i += 1) {
      const codes = blocks[block + 4 + i]!;
      values[out + i] = d * (codes & 15) + m;
      values[out + i + HALF_BLOCK] = d * (codes >>> 4) + m;
    }
  }
}

/** d, qh[4], qs[16]: bit i of the 32 in qh is the fifth bit of element i; offset 16. */
export function dequantizeQ50(blocks: Uint8Array, values: Float32Array): void {
  const half = halfValues();
  for (let block = 0, out = 0; block < blocks.length; block += 22, out += 32) {
    const d = half[blocks[block]! | (blocks[block + 1]! << 8)]!;
    const fifths = fifthBits(blocks, block + 2);
    for (let i = 0; i < HALF_BLOCK; i += 1) {
      const codes = blocks[block + 6 + i]!;
      values[out + i] = d * (((codes & 15) | (((fifths >>> i) & 1) << 4)) - 16);
      values[out + i + HALF_BLOCK] = d * (((codes >>> 4) | (((fifths >>> (i + 16)) & 1) << 4)) - 16);
    }
  }
}

/** d, m, qh[4], qs[16]; the fifth bits as in Q5_0. */
export function dequantizeQ51(blocks: Uint8Array, values: Float32Array): void {
  const half = halfValues();
  for (let block = 0, out = 0; block < blocks.length; block += 24, out += 32) {
    const d = half[blocks[block]! | (blocks[block + 1]! << 8)]!;
    const m = half[blocks[block + 2]! | (blocks[block + 3]! << 8)]!;
    const fifths = fifthBits(blocks, block + 4);
    for (let i = 0; i < HALF_BLOCK; i += 1) {
      const codes = blocks[block + 8 + i]!;
      values[out + i] = d * ((codes & 15) | (((fifths >>> i) & 1) << 4)) + m;
      values[out + i + HALF_BLOCK] = d * ((codes >>> 4) | (((fifths >>> (i + 16)) & 1) << 4)) + m;
    }
  }
}

/** d, then one signed byte for each element. */
export function dequantizeQ80(blocks: Uint8Array, values: Float32Array): void {
  const half = halfValues();
  for (let block = 0, out = 0; block < blocks.length; block += 34, out += 32) {
    const d = half[blocks[block]! | (blocks[block + 1]! << 8)]!;
    for (let i = 0; i < 32; i += 1) values[out + i] = d * ((blocks[block + 2 + i]! << 24) >> 24);
  }
}

function fifthBits(blocks: Uint8Array, at: number): number {
  return blocks[at]! | (blocks[at + 1]! << 8) | (blocks[at + 2]! << 16) | (blocks[at + 3]! << 24);
}
