import { halfValues } from './half.js';

/**
 * Super-blocks of 256 elements whose sub-blocks have scales of their own, in units of the block's half-precision d (and minima
 * in units of dmin). 4, 5 and 6 bits here; 2 and 3 in k-quants-low.ts.
 *
 * d · scale · code has at most 11 + 8 + 6 = 25 bits and d · scale · code − dmin · m spans at most 51, both exact in float64;
 * storing rounds once. ggml's float arithmetic rounds once as well, because its intermediate products have at most 24 bits.
 */

/** d, dmin, scales[12], qs[128]: 8 sub-blocks of 32; the low halves of 32 bytes are one, their high halves the next. */
export function dequantizeQ4K(blocks: Uint8Array, values: Float32Array): void {
  const half = halfValues();
  for (let block = 0, out = 0; block < blocks.length; block += 144, out += 256) {
    const d = half[blocks[block]! | (blocks[block + 1]! << 8)]!;
    const dmin = half[blocks[block + 2]! | (blocks[block + 3]! << 8)]!;
    for (let j = 0; j < 8; j += 1) {
      const scale = d * scaleOf(blocks, block + 4, j);
      const min = dmin * minOf(blocks, block + 4, j);
      const codes = block + 16 + 32 * (j >>> 1);
      const shift = 4 * (j & 1);
      const sub = out + 32 * j;
      for (let i = 0; i < 32; i += 1) values[sub + i] = scale * ((blocks[codes + i]! >>> shift) & 15) - min;
    }
  }
}

/** d, dmin, scales[12], qh[32], qs[128]: as Q4_K, with bit j of qh[i] as the fifth bit of element i of sub-block j. */
export function dequantizeQ5K(blocks: Uint8Array, values: Float32Array): void {
  const half = halfValues();
  for (let block = 0, out = 0; block < blocks.length; block += 176, out += 256) {
    const d = half[blocks[block]! | (blocks[block + 1]! << 8)]!;
    const dmin = half[blocks[block + 2]! | (blocks[block + 3]! << 8)]!;
    const fifths = block + 16;
    for (let j = 0; j < 8; j += 1) {
      const scale = d * scaleOf(blocks, block + 4, j);
      const min = dmin * minOf(blocks, block + 4, j);
      const codes = block + 48 + 32 * (j >>> 1);
      const shift = 4 * (j & 1);
      const sub = out + 32 * j;
      for (let i = 0; i < 32; i += 1) {
        const code = ((blocks[codes + i]! >>> shift) & 15) | (((blocks[fifths + i]! >>> j) & 1) << 4);
        values[sub + i] = scale * code - min;
      }
    }
  }
}

/** The 6-bit scale of sub-block j of 8: the first four lie whole in bytes 0 to 3, the others in low halves and high bits. */
function scaleOf(blocks: Uint8Array, at: number, j: number): number {
  return j < 4 ? blocks[at + j]! & 63 : (blocks[at + j + 4]! & 15) | ((blocks[at + j - 4]! >>> 6) << 4);
}

/** The 6-bit minimum of sub-block j, laid out like the scales, in bytes 4 to 7 and high halves. */
function minOf(blocks: Uint8Array, at: number, j: number): number {
  return j < 4 ? blocks[at + j + 4]! & 63 : (blocks[at + j + 4]! >>> 4) | ((blocks[at + j]! >>> 6) << 4);
}

/**
 * ql[128], qh[64], scales[16] signed, d: 16 sub-blocks of 16, codes from −32 on. In each half of the block, quarter k of 32
 * elements has its low bits in ql (bytes 0 to 31 for k even, 32 to 63 for k odd; high halves for k ≥ 2) and two bits of qh.
 */
export function dequantizeQ6K(blocks: Uint8Array, values: Float32Array): void {
  const half = halfValues();
  for (let block = 0, out = 0; block < blocks.length; block += 210, out += 256) {
    const d = half[blocks[block + 208]! | (blocks[block + 209]! << 8)]!;
    for (let quarter = 0; quarter < 8; quarter += 1) {
      const k = quarter & 3;
      const low = block + 64 * (quarter >>> 2) + 32 * (k & 1);
      const high = block + 128 + 32 * (quarter >>> 2);
      const first = d * ((blocks[block + 192 + 2 * quarter]! << 24) >> 24);
      const second = d * ((blocks[block + 193 + 2 * quarter]! << 24) >> 24);
      for (let i = 0; i < 32; i += 1) {
        const code = ((blocks[low + i]! >>> (4 * (k >>> 1))) & 15) | (((blocks[high + i]! >>> (2 * k)) & 3) << 4);
        values[out + 32 * quarter + i] = (i < 16 ? first : second) * (code - 32);
      }
    }
  }
}
