import type { Counts } from '../allocation/index.js';
import { fitted, sparsitiesOf } from './fitness.js';
import { leastOf, mostOf } from './moves.js';
import type { Budgets, ThresholdCluster } from './threshold-cluster.js';
import type { Arena } from './tournament.js';

/** What thresholds of this form would remove, and what that would cost. */
export interface FrontPoint {
  readonly sparsity: number;
  /** Mean KL from the dense model on the deciding text, nats. */
  readonly divergence: number;
}

/** Sparsities around the target that are looked at. */
export const OFFSETS = [-0.1, -0.05, -0.02, 0, 0.02, 0.05, 0.1] as const;

/**
 * What removing less or more by thresholds of the same form would cost: all of them moved alike until they fit. Points that remove
 * less and cost more than another are left out: what stays is the Pareto front of compression and accuracy around the target.
 */
export async function frontOf(counts: Counts, { clusters, trial }: Arena): Promise<FrontPoint[]> {
  const total = sum(clusters.map(({ elements }) => elements));
  const divisions = OFFSETS.flatMap((offset) => {
    const budgets = poolsOf(clusters).map((own) => shifted(own, counts, offset));
    if (offset === 0) return [counts];
    return budgets.every((budget) => budget !== undefined) ? [atBudgets(counts, clusters, budgets)] : [];
  });
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

function poolsOf(clusters: readonly ThresholdCluster[]): ThresholdCluster[][] {
  const pools = new Set(clusters.map(({ pool }) => pool));
  return [...pools].sort((a, b) => a - b).map((pool) => clusters.filter((cluster) => cluster.pool === pool));
}

/** A pool's budget with so much more of it gone; undefined where its bounds do not allow it. */
function shifted(own: readonly ThresholdCluster[], counts: Counts, offset: number): number | undefined {
  const removed = sum(own.map(({ name }) => counts.get(name)!));
  const budget = removed + Math.round(offset * sum(own.map(({ elements }) => elements)));
  return budget >= sum(own.map(leastOf)) && budget <= sum(own.map(mostOf)) ? budget : undefined;
}

function atBudgets(counts: Counts, clusters: readonly ThresholdCluster[], budgets: Budgets): Counts {
  return fitted(clusters, ({ name, elements }) => counts.get(name)! / elements, budgets);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
