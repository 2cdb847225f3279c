import { halfValues } from './half.js';

/**
 * The K-quants of 2 and 3 bits: 16 sub-blocks of 16 elements. In each half of the block, pair j of sub-blocks (32 elements)
 * has bits 2j and 2j + 1 of the half's 32 bytes of `qs`. What k-quants.ts says of rounding holds here too.
 */

/** scales[16], qs[64], d, dmin: a scale in the low and a minimum in the high half of each byte of `scales`. */
export function dequantizeQ2K(blocks: Uint8Array, values: Float32Array): void {
  const half = halfValues();
  for (let block = 0, out = 0; block < blocks.length; block += 84, out += 256) {
    const d = half[blocks[block + 80]! | (blocks[block + 81]! << 8)]!;
    const dmin = half[blocks[block + 82]! | (blocks[block + 83]! << 8)]!;
    for (let sub = 0; sub < 16; sub += 1) {
      const scale = d * (blocks[block + sub]! & 15);
      const min = dmin * (blocks[block + sub]! >>> 4);
      const codes = block + 16 + codesOf(sub);
      const shift = shiftOf(sub);
      for (let i = 0; i < 16; i += 1) values[out + 16 * sub + i] = scale * ((blocks[codes + i]! >>> shift) & 3) - min;
    }
  }
}

/**
 * hmask[32], qs[64], scales[12], d: 6-bit scales from −32 on. The third bit of each code, which stands for 4, is in `hmask`:
 * bit j of its 32 bytes for the j-th 32 elements. Codes start at −4.
 */
export function dequantizeQ3K(blocks: Uint8Array, values: Float32Array): void {
  const half = halfValues();
  for (let block = 0, out = 0; block < blocks.length; block += 110, out += 256) {
    const d = half[blocks[block + 108]! | (blocks[block + 109]! << 8)]!;
    for (let sub = 0; sub < 16; sub += 1) {
      const scale = d * (scaleOf(blocks, block + 96, sub) - 32);
      const thirds = block + 16 * (sub & 1);
      const codes = block + 32 + codesOf(sub);
      const shift = shiftOf(sub);
      for (let i = 0; i < 16; i += 1) {
        const code = ((blocks[codes + i]! >>> shift) & 3) | (((blocks[thirds + i]! >>> (sub >>> 1)) & 1) << 2);
        values[out + 16 * sub + i] = scale * (code - 4);
      }
    }
  }
}

/** Where the codes of a sub-block start among the 64 bytes of `qs`. */
function codesOf(sub: number): number {
  return 32 * (sub >>> 3) + 16 * (sub & 1);
}

function shiftOf(sub: number): number {
  return sub & 6;
}

/** Q3_K's scale of a sub-block: four low bits in one half of byte sub % 8, two high ones in byte 8 + sub % 4. */
function scaleOf(blocks: Uint8Array, at: number, sub: number): number {
  const low = (blocks[at + (sub & 7)]! >>> (4 * (sub >>> 3))) & 15;
  const high = (blocks[at + 8 + (sub & 3)]! >>> (2 * (sub >>> 2))) & 3;
  return low | (high << 4);
}
