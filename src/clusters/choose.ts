import { BirdboneError, stopIfAborted } from '../errors.js';
import { type Prepared, prepare } from './cluster.js';
import type { Clustering, ClusteringSettings, Quality } from './clustering.js';
import type { Features } from './features.js';
import { yieldToOthers } from './yield-to-others.js';

/** By which index the number of clusters is chosen. */
export type Criterion = 'silhouette' | 'davies-bouldin' | 'calinski-harabasz';

/** Larger is better. */
const MERITS: Record<Criterion, (quality: Quality) => number | null> = {
  silhouette: ({ silhouette }) => silhouette,
  'davies-bouldin': ({ daviesBouldin }) => (daviesBouldin === null ? null : -daviesBouldin),
  'calinski-harabasz': ({ calinskiHarabasz }) => calinskiHarabasz,
};

export interface ChooseOptions {
  /** Least and most clusters that are tried; 2 to 12 unless given. */
  readonly from?: number;
  readonly to?: number;
  readonly by?: Criterion;
  readonly signal?: AbortSignal;
  /** Called after each number that was tried; all are measured at the end. */
  readonly onStep?: (done: number, total: number) => void;
}

/** One number of clusters that was tried. */
export interface ClusterTrial {
  readonly asked: number;
  /** Clusters that there were. */
  readonly k: number;
  readonly quality: Quality;
}

export interface ClusterChoice {
  /** The best of them; of several as good, the one with the fewest clusters. */
  readonly best: Clustering;
  readonly by: Criterion;
  readonly trials: readonly ClusterTrial[];
}

const FROM = 2;
const TO = 12;

/** Trials at most: each is a clustering of all points. */
const MOST_TRIALS = 64;

/**
 * Returns the clustering whose number of clusters has the best index. Methods that find the number themselves are run once.
 * Where the index is defined for none of them (all points are the same), that is the one with the fewest clusters. Throws as `cluster`.
 */
export async function chooseClusters(
  features: Features,
  settings: Omit<ClusteringSettings, 'k' | 'depth' | 'height'>,
  options: ChooseOptions = {},
): Promise<ClusterChoice> {
  const { by = 'silhouette', signal, onStep } = options;
  const prepared = await prepare(features, settings, false);
  const numbers = numbersToTry(prepared, features.count, options);
  const divisions: ReturnType<Prepared['divide']>[] = [];
  for (const asked of numbers) {
    stopIfAborted(signal);
    const next = prepared.divide(asked);
    divisions.push(next);
    onStep?.(divisions.length, numbers.length);
    // More would be asked of points that do not differ.
    if (prepared.method.isNumbered && next.k < asked) break;
    await yieldToOthers();
  }
  const found = prepared.describe(divisions);
  const best = found.reduce((first, next) => (merit(next, by) > merit(first, by) ? next : first));
  return { best, by, trials: found.map(({ k, quality }, at) => ({ asked: numbers[at]!, k, quality })) };
}

function numbersToTry({ method }: Prepared, count: number, { from = FROM, to = TO }: ChooseOptions): number[] {
  if (!method.isNumbered) return [1];
  if (!Number.isInteger(from) || !Number.isInteger(to) || from < 1 || to < from || to - from >= MOST_TRIALS) {
    throw new BirdboneError(
      'usage',
      `Clusters are chosen from ${from} to ${to}. Give whole numbers from 1 on, at most ${MOST_TRIALS} of them.`,
    );
  }
  const most = Math.max(1, Math.min(to, count));
  const least = Math.min(from, most);
  return Array.from({ length: most - least + 1 }, (_, i) => least + i);
}

function merit({ quality }: Clustering, by: Criterion): number {
  return MERITS[by](quality) ?? Number.NEGATIVE_INFINITY;
}
