import type { Candidate } from '../allocation/index.js';
import { BirdboneError } from '../errors.js';
import { type HiddenStates, runBlocks } from '../model/index.js';
import { clusterName, type ThresholdTrial, type TrialText } from '../thresholds/index.js';
import { type Candidates, candidateDivergences, contestBatches, realTokens } from './candidate-contest.js';
import type { EditContext } from './edit.js';
import { maskedVariants, type SparsityOf } from './masked-variants.js';
import type { ClusteredMatrix } from './threshold-clusters.js';
import type { WeightRanks } from './weight-ranks.js';

/** Tokens that the final decision falls on: it is taken once, on twice what each candidate is tuned on. */
export const DECIDING_TOKENS = 4096;
/** Tokens that candidates are tuned on in the last stage of a tournament. */
export const TUNING_TOKENS = 2048;

export interface OpenTrial extends ThresholdTrial {
  close(): Promise<void>;
}

/**
 * Compares thresholds by what pruning at them by Wanda, each row by itself, does to the model's predictions. The ranks are the
 * caller's to close. Throws as `openTexts`.
 */
export async function openTrial(
  matrices: readonly ClusteredMatrix[],
  ranks: WeightRanks,
  context: EditContext,
): Promise<OpenTrial> {
  return openTexts(
    (candidates) =>
      maskedVariants(
        ranks,
        candidates.map((candidate) => rowSparsities(candidate, matrices)),
        context,
      ),
    context,
  );
}

/** The forms that some candidates give a block. */
type VariantsOf = (candidates: readonly Candidate[]) => Candidates['variants'];

/**
 * A trial of candidates that change blocks in some way. Every other window of the calibration text is for tuning, the rest for
 * deciding. Throws `usage` for a single window.
 */
export async function openTexts(variantsOf: VariantsOf, context: EditContext): Promise<OpenTrial> {
  const { model, dense = model, calibration, device } = context;
  if (calibration.length < 2) throw tooShort();
  const half = (odd: 0 | 1) => ({ device, calibration: calibration.filter((_, i) => i % 2 === odd) });
  const batches = {
    tuning: contestBatches(dense, half(0), TUNING_TOKENS),
    deciding: contestBatches(dense, half(1), DECIDING_TOKENS),
  };
  const references: Partial<Record<TrialText, HiddenStates>> = {};
  const close = async () => {
    for (const states of Object.values(references)) await states.close();
  };
  try {
    for (const text of ['tuning', 'deciding'] as const)
      references[text] = await runBlocks(dense, batches[text], context);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    tokens: { tuning: realTokens(batches.tuning), deciding: realTokens(batches.deciding) },
    divergences: async (candidates, text, tokens) => {
      const found: number[] = [];
      for (let start = 0; start < candidates.length; start += MOST_AT_ONCE) {
        const some = candidates.slice(start, start + MOST_AT_ONCE);
        const round = { tokens, dense, reference: references[text]! };
        found.push(...(await candidateDivergences({ count: some.length, variants: variantsOf(some) }, round, context)));
      }
      return found;
    },
    close,
  };
}

/** Candidates whose hidden states share the memory that there is for them. */
const MOST_AT_ONCE = 16;

/** The sparsity of each row, by its cluster's. */
function rowSparsities(candidate: Candidate, matrices: readonly ClusteredMatrix[]): SparsityOf {
  const rows = new Map(
    matrices.map(({ spec, found }) => {
      const byCluster = found.clusters.map(({ cluster }) => candidate.get(clusterName(spec.weight, cluster))!);
      return [spec.weight, Float32Array.from(found.assignments, (cluster) => byCluster[cluster]!)];
    }),
  );
  return (weight) => rows.get(weight)!;
}

function tooShort(): BirdboneError {
  return new BirdboneError(
    'usage',
    'Thresholds of clusters are found on some windows of the calibration text and decided on others, and it has one window alone.',
    { suggestions: ['Calibrate on more text: --calibration-windows 128', 'Divide by outliers: --thresholds owl'] },
  );
}
