import {
  type DamageObservation,
  DIVERGENCE_PRIOR,
  OUTPUT_ERROR_PRIOR,
  type PredictedError,
  type PredictionPrior,
  predictError,
} from './prediction.js';

/** What is known of a wave: the sparsity of each tensor after it, and what was measured of it. */
export interface MeasuredWave {
  readonly layers: readonly { readonly name: string; readonly sparsity: number }[];
  readonly blocks?: { readonly errors: readonly number[] };
  readonly figures: Readonly<Record<string, number>>;
}

/** A prediction beside what happened. */
export interface PredictedFigure extends PredictedError {
  readonly actual: number;
}

/** What the waves before said a wave would do. */
export interface WavePrediction {
  /** Waves that it was learnt from. */
  readonly learntFrom: number;
  /** Relative error behind each block of which something was known. */
  readonly blocks: readonly (PredictedFigure & { readonly block: number })[];
  /** Where both models were compared token by token: the divergence of their next tokens, in nats. */
  readonly kl?: PredictedFigure;
}

/**
 * What is to be expected of a wave by those that were measured before it, kept or not, and what came of it; undefined where nothing is
 * known. `blockOf` says which block a tensor is of. What is removed in a block and in those before it explains the error
 * behind it. Pure: the same waves give the same prediction.
 */
export function predictWave(
  past: readonly MeasuredWave[],
  wave: MeasuredWave,
  blockOf: (name: string) => number | undefined,
): WavePrediction | undefined {
  const known = past.filter(({ blocks }) => blocks !== undefined);
  const errors = wave.blocks?.errors ?? [];
  const predict = (error: (of: MeasuredWave) => number | undefined, upTo: number, prior: PredictionPrior) =>
    compare(known, wave, { error, removed: (of) => removedUpTo(upTo, of, blockOf), prior });
  const blocks = errors.flatMap((_, block) => {
    const found = predict((of) => of.blocks?.errors[block], block, OUTPUT_ERROR_PRIOR);
    return found === undefined ? [] : [{ block, ...found }];
  });
  const kl = predict(({ figures }) => figures['kl'], Number.POSITIVE_INFINITY, DIVERGENCE_PRIOR);
  if (blocks.length === 0 && kl === undefined) return undefined;
  return { learntFrom: known.length, blocks, ...(kl && { kl }) };
}

interface Series {
  readonly error: (of: MeasuredWave) => number | undefined;
  readonly removed: (of: MeasuredWave) => number;
  readonly prior: PredictionPrior;
}

function compare(
  past: readonly MeasuredWave[],
  wave: MeasuredWave,
  { error, removed, prior }: Series,
): PredictedFigure | undefined {
  const actual = error(wave);
  if (actual === undefined) return undefined;
  const observations = past.flatMap((of): DamageObservation[] => {
    const found = error(of);
    return found === undefined ? [] : [{ removed: removed(of), error: found }];
  });
  const predicted = predictError(observations, removed(wave), prior);
  return predicted && { ...predicted, actual };
}

/** The mean sparsity of the tensors of these blocks. */
function removedUpTo(block: number, { layers }: MeasuredWave, blockOf: (name: string) => number | undefined): number {
  const own = layers.filter(({ name }) => (blockOf(name) ?? Number.POSITIVE_INFINITY) <= block);
  return own.length === 0 ? 0 : own.reduce((sum, { sparsity }) => sum + sparsity, 0) / own.length;
}
