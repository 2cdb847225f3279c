import type { Counts } from '../allocation/index.js';
import { fitted, sparsitiesOf } from './fitness.js';
import { leastOf, mostOf } from './moves.js';
import type { ThresholdCluster } from './threshold-cluster.js';
import type { Arena } from './tournament.js';

/** What thresholds of this form would remove, and what that would cost. */
export interface FrontPoint {
  readonly sparsity: number;
  /** Mean KL from the dense model on the deciding text, nats. */
  readonly divergence: number;
}

/** Sparsities around the target that are looked at. */
const OFFSETS = [-0.1, -0.05, -0.02, 0, 0.02, 0.05, 0.1] as const;

/**
 * What removing less or more by thresholds of the same form would cost: all of them moved alike until they fit. Points that remove
 * less and cost more than another are left out: what stays is the Pareto front of compression and accuracy around the target.
 */
export async function frontOf(counts: Counts, { clusters, trial, target }: Arena): Promise<FrontPoint[]> {
  const total = sum(clusters.map(({ elements }) => elements));
  const [least, most] = [sum(clusters.map(leastOf)), sum(clusters.map(mostOf))];
  const budgets = OFFSETS.map((offset) => Math.floor((target + offset) * total)).filter(
    (budget) => budget >= least && budget <= most && budget > 0,
  );
  const removed = sum([...counts.values()]);
  const divisions = [...new Set([...budgets, removed])].map((budget) => atBudget(counts, clusters, budget));
  const candidates = divisions.map((division) => sparsitiesOf(division, clusters));
  const found = await trial.divergences(candidates, 'deciding', trial.tokens.deciding);
  const points = divisions.map((division, i) => {
    return { sparsity: sum([...division.values()]) / total, divergence: found[i]! };
  });
  return points
    .filter(({ sparsity, divergence }, i) => {
      return !points.some(
        (other, k) =>
          k !== i &&
          other.sparsity >= sparsity &&
          other.divergence <= divergence &&
          (other.sparsity > sparsity || other.divergence < divergence),
      );
    })
    .sort((a, b) => a.sparsity - b.sparsity);
}

function atBudget(counts: Counts, clusters: readonly ThresholdCluster[], budget: number): Counts {
  if (budget === sum([...counts.values()])) return counts;
  return fitted(clusters, ({ name, elements }) => counts.get(name)! / elements, budget);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
