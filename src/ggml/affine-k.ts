import { type AffineFits, type AffineTrials, affineFits, searchAffine } from './block-search.js';
import type { GgmlEncoder, RowTarget } from './encoder.js';
import { nearestInt, putHalf } from './float32.js';
import { SUPER_BLOCK, sumOfSquares, weighErrors } from './k-blocks.js';
import { roundToLargest, scaleSearch } from './scale-search.js';
import { WEIGHTED_TRIALS } from './trials.js';

/** One K-quant whose sub-blocks have a scale and a minimum. Source: ggml-quants.c (`quantize_row_q4_K_ref`, `…_impl`). */
export interface AffineK {
  readonly dtype: 'Q2_K' | 'Q4_K' | 'Q5_K';
  readonly blockBytes: number;
  readonly subBlock: 16 | 32;
  /** The largest code of a scale and of a minimum. */
  readonly scaleLevels: 15 | 63;
  /** Without weights; with them it is `WEIGHTED_TRIALS`. */
  readonly trials: AffineTrials;
  /** How much an error counts where nobody says: |x|, plus this much of the sub-block's root mean square. */
  readonly rootMeanSquareShare: 0 | 1;
  /** What the block's mean square is multiplied with before an element's own square is added. */
  readonly spreadFactor: 1 | 2;
  /** Where d and dmin lie in a block. */
  readonly halvesAt: number;
  put(target: RowTarget, parts: BlockParts): void;
}

/** The parts of one block, as whole numbers; valid until the next block. */
export interface BlockParts {
  readonly scales: Uint8Array;
  readonly mins: Uint8Array;
  readonly codes: Uint8Array;
}

const f = Math.fround;
const errorWeights = new Float32Array(SUPER_BLOCK);

/** An encoder from its description. */
export function affineK(form: AffineK): GgmlEncoder {
  const subBlocks = SUPER_BLOCK / form.subBlock;
  const parts = {
    scales: new Uint8Array(subBlocks),
    mins: new Uint8Array(subBlocks),
    codes: new Uint8Array(SUPER_BLOCK),
  };
  const fits = affineFits(subBlocks);
  const units = unitsOf(form, parts, fits);
  return {
    dtype: form.dtype,
    encodeRow(row, weights, { bytes, at }) {
      for (let block = 0, out = at; block < row.length; block += SUPER_BLOCK, out += form.blockBytes) {
        const { scale, min } = units(row, block, weights);
        const d = putHalf(bytes, out + form.halvesAt, scale);
        const dmin = putHalf(bytes, out + form.halvesAt + 2, min);
        for (let sub = 0; sub < subBlocks; sub += 1) {
          const place = { from: block + sub * form.subBlock, to: sub * form.subBlock, count: form.subBlock };
          const fit = { scale: f(d * parts.scales[sub]!), min: f(dmin * parts.mins[sub]!), levels: form.trials.levels };
          if (fit.scale !== 0) requantize(row, parts.codes, place, fit);
          else keepSearched(row, parts.codes, place, searchedFit(fits, sub, fit.levels));
        }
        form.put({ bytes, at: out }, parts);
      }
    },
  };
}

/** Returns what finds the unit of a block's scales and that of its minima, and writes both as codes into `parts`. */
function unitsOf(form: AffineK, parts: BlockParts, fits: AffineFits) {
  const { subBlock, scaleLevels } = form;
  const groups = SUPER_BLOCK / subBlock;
  const sums = new Float32Array(groups);
  const weighted = { ...WEIGHTED_TRIALS, levels: form.trials.levels };
  return (row: Float32Array, block: number, weights: Float32Array | undefined) => {
    if (weights === undefined) guessWeights(row, block, form);
    else weighErrors(errorWeights, row, block, { weights, spreadFactor: form.spreadFactor });
    const group = { count: subBlock, groups, values: row, valuesAt: block, weights: errorWeights };
    searchAffine(group, weights === undefined ? form.trials : weighted, fits);
    for (let sub = 0; sub < groups; sub += 1) fits.mins[sub] = -fits.mins[sub]!;
    if (weights === undefined) {
      return {
        scale: roundToLargest(fits.scales, scaleLevels, parts.scales),
        min: roundToLargest(fits.mins, scaleLevels, parts.mins),
      };
    }
    for (let sub = 0; sub < groups; sub += 1) {
      let sum = 0;
      for (let i = sub * subBlock; i < (sub + 1) * subBlock; i += 1) sum = f(sum + errorWeights[i]!);
      sums[sub] = sum;
    }
    return {
      scale: scaleSearch(fits.scales, sums, scaleLevels, parts.scales),
      min: scaleSearch(fits.mins, sums, scaleLevels, parts.mins),
    };
  };
}

function guessWeights(row: Float32Array, block: number, { subBlock, rootMeanSquareShare }: AffineK): void {
  for (let sub = 0; sub < SUPER_BLOCK; sub += subBlock) {
    const at = block + sub;
    const share = rootMeanSquareShare === 0 ? 0 : f(Math.sqrt(f(sumOfSquares(row, at, subBlock) / subBlock)));
    for (let i = 0; i < subBlock; i += 1) errorWeights[sub + i] = f(share + Math.abs(row[at + i]!));
  }
}

interface Place {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** The codes that scale and minimum ask for as they are stored. */
function requantize(
  row: Float32Array,
  codes: Uint8Array,
  { from, to, count }: Place,
  { scale, min, levels }: { readonly scale: number; readonly min: number; readonly levels: number },
): void {
  for (let i = 0; i < count; i += 1) {
    const code = nearestInt(f(f(row[from + i]! + min) / scale));
    codes[to + i] = Math.max(0, Math.min(levels, code));
  }
}

interface Searched {
  readonly inverse: number;
  readonly offset: number;
  readonly levels: number;
}

function searchedFit({ inverses, offsets }: AffineFits, sub: number, levels: number): Searched {
  return { inverse: inverses[sub]!, offset: offsets[sub]!, levels };
}

/** Where a scale rounds to 0 codes mean nothing, and stay what the search found, as ggml has them. */
function keepSearched(row: Float32Array, codes: Uint8Array, { from, to, count }: Place, searched: Searched): void {
  const { inverse, offset, levels } = searched;
  for (let i = 0; i < count; i += 1) {
    codes[to + i] = Math.max(0, Math.min(levels, nearestInt(f(inverse * f(row[from + i]! - offset)))));
  }
}
