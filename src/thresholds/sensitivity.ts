import type { Counts } from '../allocation/index.js';
import { sparsitiesOf } from './fitness.js';
import { leastOf } from './moves.js';
import { errorAt, type ThresholdCluster } from './threshold-cluster.js';
import type { ThresholdTrial } from './threshold-trial.js';

/** A cluster's sparsity is lowered by this to see what its last weights cost. */
const PROBE = 0.1;

/** What giving one cluster some of its weights back does to the predictions, everything else as it is. */
export interface Sensitivity {
  readonly name: string;
  /** Nats of divergence for each weight given back: positive where they are missed. */
  readonly price: number;
  /** The same for each unit of the cluster's error sum; see `ThresholdCluster.errors`. */
  readonly errorPrice: number;
  /** Weights that were given back in the measurement. */
  readonly weights: number;
}

/**
 * Measures every cluster by itself: its sparsity lowered by a tenth, as far as earlier waves and bounds allow, and all others as
 * they are. A cluster that can give nothing back has a price of 0.
 */
export async function sensitivities(
  base: Counts,
  clusters: readonly ThresholdCluster[],
  {
    trial,
    tokens,
    divergence,
  }: { readonly trial: ThresholdTrial; readonly tokens: number; readonly divergence: number },
): Promise<Sensitivity[]> {
  const probes = clusters.map((cluster) => {
    const count = base.get(cluster.name)!;
    return Math.max(0, Math.min(Math.round(PROBE * cluster.elements), count - leastOf(cluster)));
  });
  const measured = clusters.map((_, i) => i).filter((i) => probes[i]! > 0);
  const candidates = measured.map((i) => {
    const counts = new Map(base);
    counts.set(clusters[i]!.name, counts.get(clusters[i]!.name)! - probes[i]!);
    return sparsitiesOf(counts, clusters);
  });
  const found = await trial.divergences(candidates, 'tuning', tokens);
  const gains = new Map(measured.map((i, k) => [i, divergence - found[k]!]));
  return clusters.map((cluster, i) => {
    const weights = probes[i]!;
    const gain = gains.get(i) ?? 0;
    const error = errorBetween(cluster, base, weights);
    return {
      name: cluster.name,
      price: weights === 0 ? 0 : gain / weights,
      errorPrice: error === 0 ? 0 : gain / error,
      weights,
    };
  });
}

function errorBetween(cluster: ThresholdCluster, base: Counts, weights: number): number {
  const count = base.get(cluster.name)!;
  return errorAt(cluster, count / cluster.elements) - errorAt(cluster, (count - weights) / cluster.elements);
}
