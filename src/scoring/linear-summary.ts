import { headGroups, MatrixAggregate, type MatrixSummary } from '../importance/index.js';
import type { ScoredLinear } from '../pruning/index.js';

/** One linear weight's scores at a glance, and which one it is. */
export interface LinearSummary extends MatrixSummary {
  readonly block: number;
  readonly role: string;
  /** Whose weight it is, in a block of experts. */
  readonly expert?: number;
}

/** Summarizes one metric's scores of a linear whose block has heads of `headDim`. Throws as `MatrixAggregate.add`. */
export function summarize(
  { block, spec }: Pick<ScoredLinear, 'block' | 'spec'>,
  scores: { readonly values: Float32Array },
  headDim: number,
): LinearSummary {
  const { rows, columns, role, expert } = spec;
  const aggregate = new MatrixAggregate({ name: spec.weight, rows, columns }, headGroups(role, headDim));
  aggregate.add(scores.values);
  return { ...aggregate.finish(), block, role, ...(expert !== undefined && { expert }) };
}
