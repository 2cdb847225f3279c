import { halfValues } from './half.js';

/** The 16 values that a 4-bit code stands for: denser near zero, where weights are. Source: ggml-common.h, `kvalues_iq4nl`. */
const CODE_VALUES = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

/** d, qs[16]: 32 elements; a byte holds element i in its low half and element i + 16 in its high half. */
export function dequantizeIq4Nl(blocks: Uint8Array, values: Float32Array): void {
  const half = halfValues();
  for (let block = 0, out = 0; block < blocks.length; block += 18, out += 32) {
    const d = half[blocks[block]! | (blocks[block + 1]! << 8)]!;
    spread(blocks, block + 2, { scale: d, values, out });
  }
}

/**
 * d, scales_h (16 bits), scales_l[4], qs[128]: 8 sub-blocks of 32 laid out as in IQ4_NL. A scale has four bits in scales_l and
 * two in scales_h, from −32 on. d · scale has at most 17 bits, so it is exact in float32, and the product with a code's value
 * rounds once.
 */
export function dequantizeIq4Xs(blocks: Uint8Array, values: Float32Array): void {
  const half = halfValues();
  for (let block = 0, out = 0; block < blocks.length; block += 136, out += 256) {
    const d = half[blocks[block]! | (blocks[block + 1]! << 8)]!;
    const high = blocks[block + 2]! | (blocks[block + 3]! << 8);
    for (let sub = 0; sub < 8; sub += 1) {
      const low = (blocks[block + 4 + (sub >>> 1)]! >>> (4 * (sub & 1))) & 15;
      const scale = d * ((low | (((high >>> (2 * sub)) & 3) << 4)) - 32);
      spread(blocks, block + 8 + 16 * sub, { scale, values, out: out + 32 * sub });
    }
  }
}

function spread(
  blocks: Uint8Array,
  at: number,
  { scale, values, out }: { readonly scale: number; readonly values: Float32Array; readonly out: number },
): void {
  for (let i = 0; i < 16; i += 1) {
    const codes = blocks[at + i]!;
    values[out + i] = scale * CODE_VALUES[codes & 15]!;
    values[out + i + 16] = scale * CODE_VALUES[codes >>> 4]!;
  }
}
