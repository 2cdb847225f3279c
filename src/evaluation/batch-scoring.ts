import type { TokenBatch } from '../model/index.js';
import { type Device, type HiddenAndHead, NextTokenComparer, NextTokenScorer } from '../tensor/index.js';
import { predictionsOf } from './predictions.js';
import { addComparison, addScores, type Tally } from './tally.js';

/** One batch on its way through the sections of the head (of both heads, when there is a base). */
export interface BatchScoring {
  readonly positions: Int32Array;
  /** Takes in the next section: the base first, when there is one. */
  add(sides: readonly HiddenAndHead[], device: Device): Promise<void>;
  /** After the last section: adds what was found to the batch's passages. */
  finish(tally: Tally): void;
}

export function batchScoring(batch: TokenBatch, { withBase }: { readonly withBase: boolean }): BatchScoring {
  const predictions = predictionsOf(batch);
  const { positions, targets } = predictions;
  if (withBase) {
    const comparer = new NextTokenComparer(targets);
    return {
      positions,
      add: ([base, now], device) => comparer.add(base!, now!, device),
      finish: (tally) => addComparison(tally, predictions, comparer.comparison()),
    };
  }
  const scorer = new NextTokenScorer(targets);
  return {
    positions,
    add: ([only], device) => scorer.add(only!, device),
    finish: (tally) => addScores(tally.scores, predictions, scorer.scores()),
  };
}
