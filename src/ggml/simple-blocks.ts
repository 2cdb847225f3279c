import { affineFits, type Groups, searchAffine, searchSymmetric, symmetricFits } from './block-search.js';
import { extremeOf } from './descent-search.js';
import type { GgmlEncoder, RowTarget } from './encoder.js';
import { nearestInt, putHalf } from './float32.js';
import { sumOfSquares } from './k-blocks.js';
import { WEIGHTED_TRIALS } from './trials.js';

/**
 * Blocks of 32 elements with one half-precision scale d, and in the `_1` types a minimum m. Without weights the extreme value
 * (or the range) decides d; with weights it is searched for. Where the bytes lie: src/tensor/quantized/legacy.ts.
 * Source: ggml-quants.c (`quantize_row_q4_0_ref`, `quantize_row_q4_0_impl` …).
 */
const BLOCK = 32;
const f = Math.fround;
const codes = new Uint8Array(BLOCK);

/** Room for what is found of the blocks of a row; the rows of a matrix are of one length. */
let room = roomFor(0);

/** One signed byte for each element; weights change nothing, for d is where the largest element needs it. */
export const q8_0: GgmlEncoder = {
  dtype: 'Q8_0',
  encodeRow(row, _weights, { bytes, at }) {
    for (let block = 0, out = at; block < row.length; block += BLOCK, out += 34) {
      const d = f(Math.abs(extremeOf(row, block, BLOCK)) / 127);
      const inverse = d === 0 ? 0 : f(1 / d);
      putHalf(bytes, out, d);
      for (let i = 0; i < BLOCK; i += 1) bytes[out + 2 + i] = roundAway(f(row[block + i]! * inverse));
    }
  },
};

/** Halves go away from zero, as C's roundf has it. */
function roundAway(value: number): number {
  return Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
}

export const q4_0 = symmetric('Q4_0', { levels: 8, blockBytes: 18 });
export const q5_0 = symmetric('Q5_0', { levels: 16, blockBytes: 22 });
export const q4_1 = affine('Q4_1', { levels: 15, blockBytes: 20 });
export const q5_1 = affine('Q5_1', { levels: 31, blockBytes: 24 });

interface BlockForm {
  /** Codes are in [−levels, levels), or in [0, levels]. */
  readonly levels: number;
  readonly blockBytes: number;
}

function symmetric(dtype: 'Q4_0' | 'Q5_0', { levels, blockBytes }: BlockForm): GgmlEncoder {
  return {
    dtype,
    encodeRow(row, weights, { bytes, at }) {
      if (weights !== undefined) searchSymmetric(weighed(row, weights), levels, room.symmetric);
      for (let block = 0, out = at; block < row.length; block += BLOCK, out += blockBytes) {
        const d = weights === undefined ? symmetricByExtreme(row, block, levels) : symmetricAsFound(row, block, levels);
        putHalf(bytes, out, d);
        putCodes({ bytes, at: out + 2 }, levels > 8);
      }
    },
  };
}

function symmetricByExtreme(row: Float32Array, at: number, levels: number): number {
  const d = f(extremeOf(row, at, BLOCK) / -levels);
  const inverse = d === 0 ? 0 : f(1 / d);
  for (let i = 0; i < BLOCK; i += 1) {
    const scaled = f(f(row[at + i]! * inverse) + (levels + 0.5));
    codes[i] = Math.min(2 * levels - 1, Math.trunc(scaled));
  }
  return d;
}

function affine(dtype: 'Q4_1' | 'Q5_1', { levels, blockBytes }: BlockForm): GgmlEncoder {
  const trials = { ...WEIGHTED_TRIALS, levels };
  return {
    dtype,
    encodeRow(row, weights, { bytes, at }) {
      if (weights !== undefined) searchAffine(weighed(row, weights), trials, room.affine);
      for (let block = 0, out = at; block < row.length; block += BLOCK, out += blockBytes) {
        const { scale, min } =
          weights === undefined ? affineByRange(row, block, levels) : affineAsFound(row, block, levels);
        putHalf(bytes, out, scale);
        putHalf(bytes, out + 2, min);
        putCodes({ bytes, at: out + 4 }, levels > 15);
      }
    },
  };
}

function affineByRange(row: Float32Array, at: number, levels: number): { scale: number; min: number } {
  let min = row[at]!;
  let max = min;
  for (let i = 1; i < BLOCK; i += 1) {
    min = Math.min(min, row[at + i]!);
    max = Math.max(max, row[at + i]!);
  }
  const scale = f(f(max - min) / levels);
  const inverse = scale === 0 ? 0 : f(1 / scale);
  for (let i = 0; i < BLOCK; i += 1) {
    codes[i] = Math.min(levels, Math.trunc(f(f(f(row[at + i]! - min) * inverse) + 0.5)));
  }
  return { scale, min };
}

function symmetricAsFound(row: Float32Array, at: number, levels: number): number {
  const { inverses, scales } = room.symmetric;
  const inverse = inverses[at / BLOCK]!;
  for (let i = 0; i < BLOCK; i += 1) {
    const code = Math.max(-levels, Math.min(levels - 1, nearestInt(f(inverse * row[at + i]!))));
    // ggml gives a block of zeros the codes 0; its scale of 0 makes them all one.
    codes[i] = inverse === 0 ? 0 : levels + code;
  }
  return scales[at / BLOCK]!;
}

function affineAsFound(row: Float32Array, at: number, levels: number): { scale: number; min: number } {
  const { scales, mins, inverses, offsets } = room.affine;
  const block = at / BLOCK;
  for (let i = 0; i < BLOCK; i += 1) {
    const code = nearestInt(f(inverses[block]! * f(row[at + i]! - offsets[block]!)));
    codes[i] = Math.max(0, Math.min(levels, code));
  }
  return { scale: scales[block]!, min: mins[block]! };
}

function roomFor(columns: number) {
  const blocks = columns / BLOCK;
  return { errorWeights: new Float32Array(columns), symmetric: symmetricFits(blocks), affine: affineFits(blocks) };
}

/** The blocks of a row with their error weights: each column's, times the root of the row's mean square plus the element's own. */
function weighed(row: Float32Array, weights: Float32Array): Groups {
  if (room.errorWeights.length !== row.length) room = roomFor(row.length);
  const { errorWeights } = room;
  const variance = f(sumOfSquares(row, 0, row.length) / row.length);
  for (let i = 0; i < row.length; i += 1) {
    const x = row[i]!;
    errorWeights[i] = f(weights[i]! * f(Math.sqrt(f(variance + f(x * x)))));
  }
  return { count: BLOCK, groups: row.length / BLOCK, values: row, valuesAt: 0, weights: errorWeights };
}

/** The 32 fifth bits, where there are any, then 16 bytes with element i low and element i + 16 high. */
function putCodes({ bytes, at }: RowTarget, hasFifthBits: boolean): void {
  let out = at;
  if (hasFifthBits) {
    for (let byte = 0; byte < 4; byte += 1, out += 1) {
      let fifths = 0;
      for (let bit = 0; bit < 8; bit += 1) fifths |= (codes[8 * byte + bit]! >>> 4) << bit;
      bytes[out] = fifths;
    }
  }
  for (let i = 0; i < 16; i += 1) bytes[out + i] = (codes[i]! & 15) | ((codes[i + 16]! & 15) << 4);
}
