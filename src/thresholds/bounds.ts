import { BirdboneError } from '../errors.js';
import { nearest } from '../nearest.js';
import { leastOf, mostOf } from './moves.js';
import type { Budgets, ThresholdCluster } from './threshold-cluster.js';

/** How sparse a cluster may become, at least and at most. */
export interface SparsityBounds {
  readonly least?: number | undefined;
  readonly most?: number | undefined;
}

export interface ThresholdBounds extends SparsityBounds {
  /**
   * By the name of a matrix, or of one of its clusters (`….weight#2`), `*` standing for anything: a sparsity that is set by hand, or
   * bounds of its own. The last that fits counts.
   */
  readonly overrides?: Readonly<Record<string, number | SparsityBounds>> | undefined;
}

/** A cluster keeps a hundredth of its weights unless bounds say otherwise: what has no weights says nothing. */
const MOST = 0.99;

/**
 * The clusters with the fewest and the most weights that each may lose. What earlier waves removed stays gone. Throws `usage` for an
 * override that fits no cluster, and for bounds between which a pool's budget cannot be met.
 */
export function bounded(
  clusters: readonly ThresholdCluster[],
  bounds: ThresholdBounds,
  budgets: Budgets,
): ThresholdCluster[] {
  const { overrides = {} } = bounds;
  for (const pattern of Object.keys(overrides)) {
    if (!clusters.some((cluster) => fits(pattern, cluster))) throw fitsNothing(pattern, clusters);
  }
  const all = clusters.map((cluster) => {
    const found = Object.entries(overrides).findLast(([pattern]) => fits(pattern, cluster));
    const own = found === undefined ? bounds : boundsOf(found[1], bounds);
    const { elements, gone } = cluster;
    const most = Math.max(gone, Math.min(cluster.most ?? elements, Math.floor((own.most ?? MOST) * elements)));
    const least = Math.min(most, Math.max(gone, Math.ceil((own.least ?? 0) * elements)));
    return { ...cluster, least, most, ...(found && { override: found[0] }) };
  });
  for (const [pool, budget] of budgets.entries()) {
    const own = all.filter((cluster) => cluster.pool === pool);
    const [fewest, most] = [total(own.map(leastOf)), total(own.map(mostOf))];
    if (budget < fewest || budget > most) throw outOfReach(budget, { fewest, most, of: own });
  }
  return all;
}

function boundsOf(override: number | SparsityBounds, bounds: SparsityBounds): SparsityBounds {
  return typeof override === 'number' ? { least: override, most: override } : { ...bounds, ...override };
}

function fits(pattern: string, { name, matrix }: ThresholdCluster): boolean {
  const glob = new RegExp(
    `^${pattern
      .split('*')
      .map((part) => part.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&'))
      .join('.*')}$`,
  );
  return glob.test(name) || glob.test(matrix);
}

function fitsNothing(pattern: string, clusters: readonly ThresholdCluster[]): BirdboneError {
  const names = clusters.map(({ name }) => name);
  return new BirdboneError(
    'usage',
    `The threshold set for "${pattern}" fits no cluster of a matrix that pruning changes.`,
    {
      suggestions: [
        ...nearest(pattern, names).slice(0, 1),
        `Names are those of matrices, such as ${clusters[0]?.matrix}, or of their clusters, such as ${names[0]}; * stands for anything.`,
      ],
    },
  );
}

function outOfReach(
  budget: number,
  { fewest, most, of }: { readonly fewest: number; readonly most: number; readonly of: readonly ThresholdCluster[] },
): BirdboneError {
  const all = total(of.map(({ elements }) => elements));
  const share = (count: number) => `${((100 * count) / all).toFixed(1)} %`;
  return new BirdboneError(
    'usage',
    `Between their bounds, clusters can lose ${share(fewest)} to ${share(most)} of their weights together, and ${share(budget)} are to go.`,
    { suggestions: ['Loosen the bounds or the overrides of the thresholds.', 'Ask for another --sparsity.'] },
  );
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
