import type { Candidate } from '../../src/allocation/index.js';
import { clusterName, ERROR_LEVELS, type ThresholdCluster, type ThresholdTrial } from '../../src/thresholds/index.js';

/** Two blocks of two matrices of three clusters; the cost of losing a share s of cluster c is price_c · elements · s². */
export const PRICES = [1, 4, 2, 8, 1, 3, 2, 2, 5, 1, 6, 2];

export function plantedClusters(gone = 0): ThresholdCluster[] {
  return PRICES.map((_, i) => {
    const matrix = `blocks.${Math.floor(i / 6)}.${Math.floor((i % 6) / 3) === 0 ? 'up' : 'down'}`;
    const rows = [10, 20, 30][i % 3]!;
    const elements = 40 * rows;
    return {
      name: clusterName(matrix, i % 3),
      matrix,
      block: Math.floor(i / 6),
      cluster: i % 3,
      rows,
      pool: 0,
      elements,
      gone: Math.floor(gone * elements),
      figures: { importance: 1, variance: 1, density: 1 - gone, health: 1 },
      errors: Float64Array.from({ length: ERROR_LEVELS + 1 }, (__, level) => elements * (level / ERROR_LEVELS) ** 2),
    };
  });
}

export function costOf(candidate: Candidate, clusters: readonly ThresholdCluster[]): number {
  return (
    clusters.reduce((sum, { name, elements }, i) => sum + PRICES[i]! * elements * candidate.get(name)! ** 2, 0) / 1e4
  );
}

/** The least cost on a budget: Lagrange, s_c = min(1, λ / price_c). */
export function leastCost(clusters: readonly ThresholdCluster[], budget: number, most = 0.99): number {
  let [low, high] = [0, 100];
  const at = (lambda: number) => PRICES.map((price) => Math.min(most, lambda / price));
  for (let i = 0; i < 100; i += 1) {
    const middle = (low + high) / 2;
    const removed = at(middle).reduce((sum, share, c) => sum + share * clusters[c]!.elements, 0);
    if (removed < budget) low = middle;
    else high = middle;
  }
  return at(low).reduce((sum, share, c) => sum + PRICES[c]! * clusters[c]!.elements * share ** 2, 0) / 1e4;
}

export interface WatchedTrial extends ThresholdTrial {
  readonly rounds: { readonly text: string; readonly candidates: number; readonly tokens: number }[];
}

/** A trial that measures by a cost, and says what it was asked. */
export function trialOf(
  cost: (candidate: Candidate, text: 'tuning' | 'deciding', tokens: number) => number,
): WatchedTrial {
  const rounds: WatchedTrial['rounds'] = [];
  return {
    tokens: { tuning: 800, deciding: 1600 },
    rounds,
    async divergences(candidates, text, tokens) {
      rounds.push({ text, candidates: candidates.length, tokens });
      return candidates.map((candidate) => cost(candidate, text, tokens));
    },
  };
}
