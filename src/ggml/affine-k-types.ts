import { affineK, type BlockParts } from './affine-k.js';
import type { RowTarget } from './encoder.js';

/** 4 and 5 bits: 8 sub-blocks of 32 with 6-bit scales and minima. 2 bits: 16 of 16 with 4-bit ones. */

export const q4_k = affineK({
  dtype: 'Q4_K',
  blockBytes: 144,
  subBlock: 32,
  scaleLevels: 63,
  trials: { levels: 15, first: -1, step: 0.1, trials: 20, absolute: false },
  rootMeanSquareShare: 1,
  spreadFactor: 2,
  halvesAt: 0,
  put({ bytes, at }, { scales, mins, codes }) {
    putScales6({ bytes, at: at + 4 }, scales, mins);
    putHalves({ bytes, at: at + 16 }, codes);
  },
});

export const q5_k = affineK({
  dtype: 'Q5_K',
  blockBytes: 176,
  subBlock: 32,
  scaleLevels: 63,
  trials: { levels: 31, first: -0.5, step: 0.1, trials: 15, absolute: false },
  rootMeanSquareShare: 1,
  spreadFactor: 2,
  halvesAt: 0,
  put({ bytes, at }, { scales, mins, codes }) {
    putScales6({ bytes, at: at + 4 }, scales, mins);
    // Bit j of byte i: the fifth bit of element i of sub-block j.
    for (let i = 0; i < 32; i += 1) {
      let fifths = 0;
      for (let sub = 0; sub < 8; sub += 1) fifths |= (codes[32 * sub + i]! >>> 4) << sub;
      bytes[at + 16 + i] = fifths;
    }
    putHalves({ bytes, at: at + 48 }, codes);
  },
});

export const q2_k = affineK({
  dtype: 'Q2_K',
  blockBytes: 84,
  subBlock: 16,
  scaleLevels: 15,
  trials: { levels: 3, first: -0.5, step: 0.1, trials: 15, absolute: true },
  rootMeanSquareShare: 0,
  spreadFactor: 1,
  halvesAt: 80,
  put({ bytes, at }, { scales, mins, codes }) {
    for (let sub = 0; sub < 16; sub += 1) bytes[at + sub] = scales[sub]! | (mins[sub]! << 4);
    putPairs({ bytes, at: at + 16 }, codes);
  },
});

/** 6-bit scales and minima of 8 sub-blocks in 12 bytes: four whole ones each, then low halves, and high bits above the first. */
function putScales6({ bytes, at }: RowTarget, scales: Uint8Array, mins: Uint8Array): void {
  for (let j = 0; j < 4; j += 1) {
    bytes[at + j] = scales[j]! | ((scales[j + 4]! >>> 4) << 6);
    bytes[at + j + 4] = mins[j]! | ((mins[j + 4]! >>> 4) << 6);
    bytes[at + j + 8] = (scales[j + 4]! & 15) | ((mins[j + 4]! & 15) << 4);
  }
}

/** The low four bits of 256 codes: 32 bytes hold one sub-block of 32 low and the next high. */
function putHalves({ bytes, at }: RowTarget, codes: BlockParts['codes']): void {
  for (let chunk = 0; chunk < 4; chunk += 1) {
    for (let i = 0; i < 32; i += 1) {
      bytes[at + 32 * chunk + i] = (codes[64 * chunk + i]! & 15) | ((codes[64 * chunk + 32 + i]! & 15) << 4);
    }
  }
}

/** The low two bits of 256 codes: in each half of the block, byte i holds elements i, i + 32, i + 64 and i + 96. */
export function putPairs({ bytes, at }: RowTarget, codes: BlockParts['codes']): void {
  for (let half = 0; half < 2; half += 1) {
    for (let i = 0; i < 32; i += 1) {
      let packed = 0;
      for (let quarter = 0; quarter < 4; quarter += 1) {
        packed |= (codes[128 * half + 32 * quarter + i]! & 3) << (2 * quarter);
      }
      bytes[at + 32 * half + i] = packed;
    }
  }
}
