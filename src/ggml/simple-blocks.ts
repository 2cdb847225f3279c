import { type AffineTrials, affineFits, searchAffine, searchSymmetric, symmetricFits } from './block-search.js';
import { extremeOf } from './descent-search.js';
import type { GgmlEncoder, RowTarget } from './encoder.js';
import { nearestInt, putHalf } from './float32.js';
import { WEIGHTED_TRIALS } from './trials.js';

/**
 * Blocks of 32 elements with one half-precision scale d, and in the `_1` types a minimum m. Without weights the extreme value
 * (or the range) decides d; with weights it is searched for. Where the bytes lie: src/tensor/quantized/legacy.ts.
 * Source: ggml-quants.c (`quantize_row_q4_0_ref`, `quantize_row_q4_0_impl` …).
 */
const BLOCK = 32;
const f = Math.fround;
const codes = new Uint8Array(BLOCK);
const errorWeights = new Float32Array(BLOCK);
const symmetricFit = symmetricFits(1);
const affineFit = affineFits(1);

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
      const variance = weights === undefined ? 0 : meanSquare(row);
      for (let block = 0, out = at; block < row.length; block += BLOCK, out += blockBytes) {
        if (weights === undefined) {
          putHalf(bytes, out, symmetricByExtreme(row, block, levels));
        } else {
          weigh(row, block, { weights, variance });
          putHalf(bytes, out, symmetricByWeights(row, block, levels));
        }
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
      const variance = weights === undefined ? 0 : meanSquare(row);
      for (let block = 0, out = at; block < row.length; block += BLOCK, out += blockBytes) {
        if (weights === undefined) {
          const { scale, min } = affineByRange(row, block, levels);
          putHalf(bytes, out, scale);
          putHalf(bytes, out + 2, min);
        } else {
          weigh(row, block, { weights, variance });
          affineByWeights(row, block, trials);
          putHalf(bytes, out, affineFit.scales[0]!);
          putHalf(bytes, out + 2, affineFit.mins[0]!);
        }
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

function symmetricByWeights(row: Float32Array, at: number, levels: number): number {
  searchSymmetric({ count: BLOCK, groups: 1, values: row, valuesAt: at, weights: errorWeights }, levels, symmetricFit);
  const inverse = symmetricFit.inverses[0]!;
  for (let i = 0; i < BLOCK; i += 1) {
    const code = Math.max(-levels, Math.min(levels - 1, nearestInt(f(inverse * row[at + i]!))));
    // ggml gives a block of zeros the codes 0; its scale of 0 makes them all one.
    codes[i] = inverse === 0 ? 0 : levels + code;
  }
  return symmetricFit.scales[0]!;
}

function affineByWeights(row: Float32Array, at: number, trials: AffineTrials): void {
  searchAffine({ count: BLOCK, groups: 1, values: row, valuesAt: at, weights: errorWeights }, trials, affineFit);
  const [inverse, offset] = [affineFit.inverses[0]!, affineFit.offsets[0]!];
  for (let i = 0; i < BLOCK; i += 1) {
    codes[i] = Math.max(0, Math.min(trials.levels, nearestInt(f(inverse * f(row[at + i]! - offset)))));
  }
}

/** Of the whole row: what an element's own square is set against where errors are weighed. */
function meanSquare(row: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < row.length; i += 1) sum = f(sum + f(row[i]! * row[i]!));
  return f(sum / row.length);
}

function weigh(
  row: Float32Array,
  at: number,
  { weights, variance }: { readonly weights: Float32Array; readonly variance: number },
): void {
  for (let i = 0; i < BLOCK; i += 1) {
    const x = row[at + i]!;
    errorWeights[i] = f(weights[at + i]! * f(Math.sqrt(f(variance + f(x * x)))));
  }
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
