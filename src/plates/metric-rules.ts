import type { Normalisation } from './normalise.js';
import type { ScoreRule } from './score-sums.js';

/** How the scores that a metric gives weights become scores of plates. */
export interface MetricRule extends ScoreRule {
  readonly normalisation: Normalisation;
}

/** What is done with a metric that has no row below: its weights' scores are added up and compared within blocks. */
const WEIGHTS: MetricRule = { counted: 'coupled', aggregate: 'sum', normalisation: 'mean' };
/** A loss: it adds up over coupled weights, and over blocks it is comparable as it is. */
const LOSS: MetricRule = { counted: 'coupled', aggregate: 'sum', normalisation: 'total' };

const RULES: Readonly<Record<string, MetricRule>> = {
  taylor: LOSS,
  fisher: LOSS,
  // Minitron scores a channel by what comes out of it, whatever the weights that made it.
  activation: { counted: 'reads', aggregate: 'sum', normalisation: 'mean' },
  // FLAP: fluctuation of the inputs of o and down, heads by the mean over their dimensions, z-scores in each block.
  flap: { counted: 'reads', aggregate: 'mean', normalisation: 'standard' },
};

/** Returns how plates are scored by a metric; docs/plates.md says why, with the papers. */
export function metricRule(metric: string): MetricRule {
  return RULES[metric] ?? WEIGHTS;
}
