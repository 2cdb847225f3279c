import { type Candidate, type Counts, fitBudget } from '../allocation/index.js';
import { leastOf, mostOf } from './moves.js';
import type { Budgets, ThresholdCluster } from './threshold-cluster.js';

/** The sparsities that counts mean, by cluster. */
export function sparsitiesOf(counts: Counts, clusters: readonly ThresholdCluster[]): Candidate {
  return new Map(clusters.map(({ name, elements }) => [name, counts.get(name)! / elements]));
}

/**
 * How far thresholds are from the target all over: Σ share_c · ((s_c − target) / (1 − target))² over clusters, 0 for the same
 * everywhere. A threshold that leaves nothing of a cluster counts 1 for its share, one that leaves twice as much the same.
 */
export function extremity(counts: Counts, clusters: readonly ThresholdCluster[], target: number): number {
  const total = clusters.reduce((sum, { elements }) => sum + elements, 0);
  return clusters.reduce((sum, { name, elements }) => {
    const deviation = (counts.get(name)! / elements - target) / (1 - target);
    return sum + (elements / total) * deviation ** 2;
  }, 0);
}

/** Whole counts on every pool's budget, as near as can be to a sparsity of each cluster, within bounds. */
export function fitted(
  clusters: readonly ThresholdCluster[],
  sparsityOf: (cluster: ThresholdCluster) => number,
  budgets: Budgets,
): Counts {
  const counts = new Map<string, number>();
  for (const [pool, budget] of budgets.entries()) {
    const own = clusters.filter((cluster) => cluster.pool === pool);
    for (const entry of fitBudget(own, (cluster) => sparsityOf(cluster as ThresholdCluster), budget))
      counts.set(...entry);
  }
  // In the order of the clusters, whatever pool they are of.
  return new Map(clusters.map(({ name }) => [name, counts.get(name)!]));
}

/** Counts moved into every cluster's bounds, on the same budgets. */
export function withinBounds(counts: Counts, clusters: readonly ThresholdCluster[], budgets: Budgets): Counts {
  const isInside = clusters.every((cluster) => {
    const count = counts.get(cluster.name)!;
    return count >= leastOf(cluster) && count <= mostOf(cluster);
  });
  return isInside ? counts : fitted(clusters, ({ name, elements }) => counts.get(name)! / elements, budgets);
}
