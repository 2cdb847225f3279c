import { type AffineTrials, affineSearch } from './affine-search.js';
import type { GgmlEncoder, RowTarget } from './encoder.js';
import { nearestInt, putHalf } from './float32.js';
import { errorWeight, SUPER_BLOCK, sumOfSquares } from './k-blocks.js';
import { scaleSearch } from './scale-search.js';
import { WEIGHTED_TRIALS } from './trials.js';

const f = Math.fround;

/** One K-quant whose sub-blocks have a scale and a minimum. Source: ggml-quants.c (`quantize_row_q4_K_ref`, `…_impl`). */
interface AffineK {
  readonly dtype: 'Q2_K' | 'Q4_K' | 'Q5_K';
  readonly blockBytes: number;
  readonly subBlock: 16 | 32;
  /** The largest code of a scale and of a minimum. */
  readonly scaleLevels: 15 | 63;
  /** Without weights; with them it is `WEIGHTED_TRIALS`. */
  readonly trials: AffineTrials;
  /** How much an error counts where nobody says: the weight is |x| plus this much of the sub-block's root mean square. */
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

/** An encoder from its description. */
export function affineK(form: AffineK): GgmlEncoder {
  const { subBlock, scaleLevels, blockBytes } = form;
  const subBlocks = SUPER_BLOCK / subBlock;
  const weighted = { ...WEIGHTED_TRIALS, levels: form.trials.levels };
  const fits = {
    scales: new Float32Array(subBlocks),
    mins: new Float32Array(subBlocks),
    sums: new Float32Array(subBlocks),
  };
  const parts = {
    scales: new Uint8Array(subBlocks),
    mins: new Uint8Array(subBlocks),
    codes: new Uint8Array(SUPER_BLOCK),
  };
  const errorWeights = new Float32Array(subBlock);
  const subCodes = new Uint8Array(subBlock);

  const fitBlock = (row: Float32Array, block: number, weights: Float32Array | undefined) => {
    const spread =
      weights === undefined ? 0 : f(f(form.spreadFactor * sumOfSquares(row, block, SUPER_BLOCK)) / SUPER_BLOCK);
    for (let sub = 0; sub < subBlocks; sub += 1) {
      const at = block + sub * subBlock;
      if (weights === undefined) guessWeights(row, at);
      else for (let i = 0; i < subBlock; i += 1) errorWeights[i] = errorWeight(row[at + i]!, weights[at + i]!, spread);
      let sum = 0;
      for (let i = 0; i < subBlock; i += 1) sum = f(sum + errorWeights[i]!);
      fits.sums[sub] = sum;
      const group = { values: row, at, count: subBlock, weights: errorWeights, weightsAt: 0 };
      const fit = affineSearch(group, weights === undefined ? form.trials : weighted, subCodes);
      fits.scales[sub] = fit.scale;
      fits.mins[sub] = fit.min;
    }
  };

  const guessWeights = (row: Float32Array, at: number) => {
    const share = form.rootMeanSquareShare === 0 ? 0 : f(Math.sqrt(f(sumOfSquares(row, at, subBlock) / subBlock)));
    for (let i = 0; i < subBlock; i += 1) errorWeights[i] = f(share + Math.abs(row[at + i]!));
  };

  return {
    dtype: form.dtype,
    encodeRow(row, weights, { bytes, at }) {
      for (let block = 0, out = at; block < row.length; block += SUPER_BLOCK, out += blockBytes) {
        fitBlock(row, block, weights);
        const unit = (values: Float32Array, codes: Uint8Array) =>
          weights === undefined
            ? roundToLargest(values, scaleLevels, codes)
            : scaleSearch(values, fits.sums, scaleLevels, codes);
        const d = putHalf(bytes, out + form.halvesAt, unit(fits.scales, parts.scales));
        const dmin = putHalf(bytes, out + form.halvesAt + 2, unit(fits.mins, parts.mins));
        for (let sub = 0; sub < subBlocks; sub += 1) {
          const scale = f(d * parts.scales[sub]!);
          const min = f(dmin * parts.mins[sub]!);
          const first = sub * subBlock;
          for (let i = first; i < first + subBlock; i += 1) {
            // A sub-block whose scale rounds to 0 is its minimum throughout.
            const code = scale === 0 ? 0 : nearestInt(f(f(row[block + i]! + min) / scale));
            parts.codes[i] = Math.max(0, Math.min(form.trials.levels, code));
          }
        }
        form.put({ bytes, at: out }, parts);
      }
    },
  };
}

/** The step at which the largest number is code `levels`; writes the codes. 0 where no number is above 0. */
function roundToLargest(values: Float32Array, levels: number, codes: Uint8Array): number {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, value);
  const inverse = largest > 0 ? f(levels / largest) : 0;
  for (let i = 0; i < values.length; i += 1) codes[i] = Math.min(levels, nearestInt(f(inverse * values[i]!)));
  return f(largest / levels);
}
