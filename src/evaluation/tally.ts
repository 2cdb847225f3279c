import type { NextTokenComparison, NextTokenScores } from '../tensor/index.js';
import type { PassageComparison, PassageScore } from './passage-score.js';
import type { Predictions } from './predictions.js';

type Growing<T> = { -readonly [K in keyof T]: T[K] }[];

/** Sums that grow batch by batch, one of each kind for each passage; a passage's predictions come in order, in f64. */
export interface Tally {
  readonly scores: Growing<PassageScore>;
  readonly baseScores: Growing<PassageScore>;
  readonly comparisons: Growing<PassageComparison>;
}

export function emptyTally(passages: number): Tally {
  const each = <T>(make: () => T): T[] => Array.from({ length: passages }, make);
  const score = () => ({ tokens: 0, negativeLogLikelihood: 0, correct: 0 });
  return {
    scores: each(score),
    baseScores: each(score),
    comparisons: each(() => ({ divergence: 0, sameTop: 0, lost: 0, gained: 0 })),
  };
}

/** Adds one batch's predictions to the scores of their passages. */
export function addScores(scores: Tally['scores'], { passages, targets }: Predictions, batch: NextTokenScores): void {
  passages.forEach((passage, i) => {
    const score = scores[passage]!;
    score.tokens++;
    score.negativeLogLikelihood -= batch.logProbability[i]!;
    if (batch.argMax[i] === targets[i]) score.correct++;
  });
}

/** Adds one batch of a model beside its base: the scores of both, and how they differ. */
export function addComparison(tally: Tally, predictions: Predictions, batch: NextTokenComparison): void {
  addScores(tally.scores, predictions, batch);
  addScores(tally.baseScores, predictions, { logProbability: batch.baseLogProbability, argMax: batch.baseArgMax });
  predictions.passages.forEach((passage, i) => {
    const comparison = tally.comparisons[passage]!;
    const target = predictions.targets[i]!;
    const [was, now] = [batch.baseArgMax[i]!, batch.argMax[i]!];
    comparison.divergence += batch.divergence[i]!;
    if (was === now) comparison.sameTop++;
    if (was === target && now !== target) comparison.lost++;
    if (was !== target && now === target) comparison.gained++;
  });
}
