import { headGroups, MatrixAggregate, type MatrixSummary } from '../importance/index.js';
import type { ScoredLinear } from '../pruning/index.js';
import { countAbove } from './threshold.js';

/** One linear weight's scores by one metric at a glance, and which weight it is. */
export interface LinearSummary extends MatrixSummary {
  readonly metric: string;
  readonly block: number;
  readonly role: string;
  /** Whose weight it is, in a block of experts. */
  readonly expert?: number;
  /** How many of its weights score above `keepAbove`, where that was asked. */
  readonly kept?: number;
}

export interface SummaryOptions {
  readonly headDim: number;
  readonly keepAbove?: number | undefined;
}

/** Summarizes each metric's scores of a linear, in the order of its metrics. Throws as `MatrixAggregate.add`. */
export function summarize({ block, spec, scores }: ScoredLinear, options: SummaryOptions): LinearSummary[] {
  const { rows, columns, role, expert } = spec;
  const { headDim, keepAbove } = options;
  return [...scores].map(([metric, { values }]) => {
    const aggregate = new MatrixAggregate({ name: spec.weight, rows, columns }, headGroups(role, headDim));
    aggregate.add(values);
    return {
      metric,
      block,
      role,
      ...(expert !== undefined && { expert }),
      ...aggregate.finish(),
      ...(keepAbove !== undefined && { kept: countAbove(values, keepAbove) }),
    };
  });
}
