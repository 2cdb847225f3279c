import type { LinearSummary } from './linear-summary.js';

/** What stays when every weight goes that does not score above a threshold. */
export interface ThresholdCounts {
  readonly keepAbove: number;
  readonly kept: number;
  readonly removed: number;
  /** Fraction removed. */
  readonly sparsity: number;
  readonly matrices: readonly {
    readonly name: string;
    readonly block: number;
    readonly role: string;
    readonly kept: number;
    readonly removed: number;
    readonly sparsity: number;
  }[];
}

/** How many of the scores are above the threshold. */
export function countAbove(scores: Float32Array, threshold: number): number {
  let count = 0;
  for (let i = 0; i < scores.length; i++) if (scores[i]! > threshold) count += 1;
  return count;
}

/** Adds up what was counted of each matrix. */
export function thresholdCounts(summaries: readonly LinearSummary[], keepAbove: number): ThresholdCounts {
  const matrices = summaries.map(({ name, block, role, all, kept = 0 }) => ({
    name,
    block,
    role,
    kept,
    removed: all.count - kept,
    sparsity: 1 - kept / all.count,
  }));
  const kept = matrices.reduce((sum, matrix) => sum + matrix.kept, 0);
  const removed = matrices.reduce((sum, matrix) => sum + matrix.removed, 0);
  return { keepAbove, kept, removed, sparsity: removed / (kept + removed), matrices };
}
