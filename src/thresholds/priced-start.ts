import { type Counts, waterFill } from '../allocation/index.js';
import { fitted } from './fitness.js';
import { leastOf, mostOf } from './moves.js';
import { steadied } from './prices.js';
import type { Sensitivity } from './sensitivity.js';
import { type Budgets, ERROR_LEVELS, errorAt, type ThresholdCluster } from './threshold-cluster.js';

/** How far to go from where prices were measured to where they would lead: they hold near there alone. */
export const STRIDES = [0.25, 0.5, 0.75, 1] as const;

/** Sparsities at which curves are joined: a thirty-second. */
const STEPS = ERROR_LEVELS / 2;

/**
 * Thresholds that the measured prices lead to: an error of a cluster costs what it was measured to cost near `base`, errors rise as
 * the cluster's weights say, and weights go where the next ones cost least. One division for each of STRIDES, on budget and
 * within bounds.
 */
export function pricedStarts(
  base: Counts,
  clusters: readonly ThresholdCluster[],
  { found, budgets }: { readonly found: readonly Sensitivity[]; readonly budgets: Budgets },
): Counts[] {
  const goal = pricedGoal(clusters, found, budgets);
  return STRIDES.map((stride) =>
    fitted(
      clusters,
      (cluster) => {
        const now = base.get(cluster.name)! / cluster.elements;
        return now + stride * (goal.get(cluster.name)! - now);
      },
      budgets,
    ),
  );
}

function pricedGoal(
  clusters: readonly ThresholdCluster[],
  found: readonly Sensitivity[],
  budgets: Budgets,
): ReadonlyMap<string, number> {
  const prices = steadied(
    clusters,
    found.map(({ errorPrice }) => errorPrice),
  );
  const levels = Array.from({ length: STEPS + 1 }, (_, i) => i / STEPS);
  const curves = new Map(
    clusters.map((cluster, i) => {
      const { elements } = cluster;
      const [least, most] = [leastOf(cluster) / elements, mostOf(cluster) / elements];
      // Below the least there is nothing to give, above the most nothing to take: the one is free, the other dearer than all.
      const steep = 1e6 * prices[i]! * (errorAt(cluster, 1) + Number.MIN_VALUE);
      return [
        cluster.name,
        levels.map((level) => {
          const held = Math.min(most, Math.max(least, level));
          return prices[i]! * errorAt(cluster, held) + steep * Math.max(0, level - most);
        }),
      ];
    }),
  );
  return new Map(
    budgets.flatMap((budget, pool) => [
      ...waterFill(
        clusters.filter((cluster) => cluster.pool === pool),
        { levels, curves },
        budget,
      ),
    ]),
  );
}
