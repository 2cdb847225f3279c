import { type Budgets, clusterName, fitted, type NamedStart, type ThresholdCluster } from '../thresholds/index.js';
import type { EditContext } from './edit.js';

/**
 * The thresholds of the last wave that had some, kept or not, moved alike until they fit this wave's target: where a search may begin. Empty
 * for a first wave, and where that wave was about other clusters.
 */
export function earlierStart(
  { earlier = [] }: Pick<EditContext, 'earlier'>,
  clusters: readonly ThresholdCluster[],
  budgets: Budgets,
): NamedStart[] {
  const rows = earlier.findLast(({ thresholds }) => thresholds !== undefined)?.['thresholds'] ?? [];
  const sparsities = new Map<string, number>();
  for (const row of rows) {
    // A journal's details are objects; which ones is for those to check that make something of them.
    const { tensor, cluster, sparsity } = row as Record<string, unknown>;
    if (typeof tensor !== 'string' || typeof cluster !== 'number' || typeof sparsity !== 'number') return [];
    sparsities.set(clusterName(tensor, cluster), sparsity);
  }
  if (!clusters.every(({ name }) => Number.isFinite(sparsities.get(name)))) return [];
  return [{ name: 'earlier', counts: fitted(clusters, ({ name }) => sparsities.get(name)!, budgets) }];
}
