import { BirdboneError, stopIfAborted } from '../errors.js';
import { seededRandom } from '../random.js';
import { prepare } from './cluster.js';
import type { ClusteringSettings } from './clustering.js';
import { compareClusterings } from './compare.js';
import { type Features, pointsAt } from './features.js';
import { bestJaccard, onePerPoint, resample } from './resample.js';
import { yieldToOthers } from './yield-to-others.js';

export interface StabilityOptions {
  /** Further seeds that the points are clustered with; 10 unless given. */
  readonly seeds?: number;
  /** Resamples of the points that are clustered; 20 unless given. */
  readonly bootstraps?: number;
  readonly signal?: AbortSignal;
  readonly onStep?: (done: number, total: number) => void;
}

/** Agreement of repeated clusterings with the first one. */
export interface Agreement {
  /** Adjusted Rand index of each with the first. */
  readonly adjustedRand: readonly number[];
  readonly mean: number;
  readonly least: number;
}

export interface Stability {
  /** With other seeds on the same points; 1 for methods that draw nothing. Null when none were asked for. */
  readonly seeds: Agreement | null;
  /** On resamples of the points, compared on the points that they have. Null when none were asked for. */
  readonly bootstrap: Agreement | null;
  /**
   * Of each cluster, the mean over the resamples of the largest Jaccard index with a cluster of the resample (Hennig 2007): above
   * 0.85 it is there whatever the sample, below 0.6 it is not to be trusted. Null where no resample has points of it.
   */
  readonly clusters: readonly (number | null)[];
}

const SEEDS = 10;
const BOOTSTRAPS = 20;

/** Each repetition is a clustering of all points. */
const MOST_REPETITIONS = 1000;

/**
 * Returns how far the clusters of `assignments` (those of `cluster(features, settings)`) come again with other seeds, and from
 * points drawn from these with replacement. Deterministic by the settings' seed. Throws as `cluster`.
 */
export async function stability(
  features: Features,
  settings: ClusteringSettings,
  assignments: Int32Array,
  options: StabilityOptions = {},
): Promise<Stability> {
  const { seeds = SEEDS, bootstraps = BOOTSTRAPS, signal, onStep } = options;
  checkRepetitions(seeds, bootstraps);
  const random = seededRandom(settings.seed);
  const agreed: number[] = [];
  const jaccards: Map<number, number>[] = [];
  for (let done = 0; done < seeds + bootstraps; done += 1) {
    stopIfAborted(signal);
    const again = { ...settings, seed: random.bits() };
    const all = Int32Array.from(assignments.keys());
    const drawn = done < seeds ? all : resample(features.count, random);
    const prepared = await prepare(pointsAt(features, drawn), again);
    const { first, second } = onePerPoint(drawn, assignments, prepared.divide(settings.k ?? 1).assignments);
    agreed.push(compareClusterings(first, second).adjustedRand);
    if (done >= seeds) jaccards.push(bestJaccard(first, second));
    onStep?.(done + 1, seeds + bootstraps);
    await yieldToOthers();
  }
  return {
    seeds: agreement(agreed.slice(0, seeds)),
    bootstrap: agreement(agreed.slice(seeds)),
    clusters: meansByCluster(assignments, jaccards),
  };
}

function checkRepetitions(seeds: number, bootstraps: number): void {
  for (const [name, count] of Object.entries({ seeds, bootstraps })) {
    if (Number.isInteger(count) && count >= 0 && count <= MOST_REPETITIONS) continue;
    throw new BirdboneError('usage', `${name} is ${count}. It must be a whole number from 0 to ${MOST_REPETITIONS}.`);
  }
}

function agreement(adjustedRand: readonly number[]): Agreement | null {
  if (adjustedRand.length === 0) return null;
  const mean = adjustedRand.reduce((sum, value) => sum + value, 0) / adjustedRand.length;
  return { adjustedRand, mean, least: Math.min(...adjustedRand) };
}

function meansByCluster(assignments: Int32Array, jaccards: readonly Map<number, number>[]): (number | null)[] {
  const k = assignments.reduce((most, cluster) => Math.max(most, cluster + 1), 0);
  return Array.from({ length: k }, (_, cluster) => {
    const found = jaccards.flatMap((best) => best.get(cluster) ?? []);
    return found.length === 0 ? null : found.reduce((sum, value) => sum + value, 0) / found.length;
  });
}
