import type { Counts } from '../allocation/index.js';
import type { Sensitivity } from './sensitivity.js';
import type { ThresholdCluster } from './threshold-cluster.js';

/** One cluster's threshold and what speaks for it, as the record of a wave keeps it. */
export interface ThresholdReason {
  readonly tensor: string;
  readonly cluster: number;
  readonly rows: number;
  readonly weights: number;
  readonly removed: number;
  readonly sparsity: number;
  readonly importance: number;
  readonly variance: number;
  readonly density: number;
  readonly health: number;
  /** Nats of divergence that giving a thousandth of the model's weights back to it was measured to save. */
  readonly price: number;
  readonly reason: string;
}

/** Less than this away from the target is as the target. */
const NEAR = 0.01;
/** So many times the mean price is dear; one by so many is cheap. */
const FAR = 1.5;

/** Every cluster's threshold with its reason, in the order of the clusters. */
export function reasonsOf(
  counts: Counts,
  clusters: readonly ThresholdCluster[],
  { target, found }: { readonly target: number; readonly found: readonly Sensitivity[] },
): ThresholdReason[] {
  const all = clusters.reduce((sum, { elements }) => sum + elements, 0);
  const mean = clusters.reduce((sum, { elements }, i) => sum + (elements / all) * found[i]!.price, 0);
  return clusters.map((cluster, i) => {
    const { matrix, cluster: number, rows, elements, figures, name } = cluster;
    const removed = counts.get(name)!;
    const { price } = found[i]!;
    const relative = mean > 0 ? price / mean : Number.NaN;
    const reason = reasonOf(cluster, { sparsity: removed / elements, target, relative });
    return {
      tensor: matrix,
      cluster: number,
      rows,
      weights: elements,
      removed,
      sparsity: removed / elements,
      ...figures,
      price: (price * all) / 1000,
      reason,
    };
  });
}

function reasonOf(
  { override, gone, elements, figures }: ThresholdCluster,
  { sparsity, target, relative }: { readonly sparsity: number; readonly target: number; readonly relative: number },
): string {
  if (override !== undefined) return `set by hand: ${override}`;
  if (gone > 0 && gone / elements >= sparsity) return 'earlier waves have removed as much already';
  const difference = sparsity - target;
  const price = priceText(relative);
  const health = figures.health < 1 ? `, health ${figures.health.toFixed(2)}` : '';
  if (Math.abs(difference) < NEAR) return `as the target: ${price}${health}`;
  const points = `${Math.abs(100 * difference).toFixed(1)} points ${difference > 0 ? 'above' : 'below'} the target`;
  return `${points}: ${price}${health}`;
}

function priceText(relative: number): string {
  if (!Number.isFinite(relative)) return 'nothing was measured to cost anything';
  if (relative <= 0) return 'giving weights back gains nothing by itself';
  const times = relative >= 1 ? relative : 1 / relative;
  if (times < FAR) return 'its last weights cost about the mean';
  return `its last weights cost ${times.toFixed(1)} times ${relative > 1 ? 'the mean' : 'less than the mean'}`;
}
