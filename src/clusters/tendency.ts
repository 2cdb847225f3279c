import { BirdboneError, stopIfAborted } from '../errors.js';
import { type Random, seededRandom } from '../random.js';
import { chooseClusters } from './choose.js';
import { cluster } from './cluster.js';
import type { ClusteringSettings } from './clustering.js';
import type { Features } from './features.js';
import { nextNormal } from './normal.js';
import { reduce } from './reduce.js';
import { yieldToOthers } from './yield-to-others.js';

export interface TendencyOptions {
  /** Clouds that the points are compared with; 19 unless given, with which the chance cannot be below 0.05. */
  readonly clouds?: number;
  /** Least and most clusters that are tried where the settings have no k; as `chooseClusters`. */
  readonly from?: number;
  readonly to?: number;
  readonly signal?: AbortSignal;
  readonly onStep?: (done: number, total: number) => void;
}

/** Whether points cluster better than one normal cloud does, which methods that are told a number divide all the same. */
export interface Tendency {
  /** The silhouette of the points' clusters; null where it is not defined, and then there is no tendency. */
  readonly silhouette: number | null;
  /** Those of the clouds; −1 where one has no clusters. */
  readonly clouds: readonly number[];
  /** (1 + clouds at least as high) / (1 + clouds): the chance that one cloud gives such a silhouette. */
  readonly chance: number;
}

const CLOUDS = 19;
const MOST_CLOUDS = 999;

/**
 * Returns how the silhouette of the clusters compares with those of normal clouds that have the same means and covariances, divided in the
 * same way (after SigClust: Liu, Hayes, Nobel & Marron 2008). Where the settings have no `k`, the number is chosen by the silhouette, for each
 * cloud anew. Long tails too are no normal cloud: a small chance says that there is more than one, not that k is right.
 * Deterministic by the settings' seed. Throws as `cluster`.
 */
export async function tendency(
  features: Features,
  settings: ClusteringSettings,
  options: TendencyOptions = {},
): Promise<Tendency> {
  const { clouds: count = CLOUDS, signal, onStep } = options;
  if (!Number.isInteger(count) || count < 1 || count > MOST_CLOUDS) {
    throw new BirdboneError('usage', `clouds is ${count}. It must be a whole number from 1 to ${MOST_CLOUDS}.`);
  }
  const silhouette = await silhouetteOf(features, settings, options);
  const clouds: number[] = [];
  const random = seededRandom(settings.seed);
  const cloudLike = cloudsLike(features);
  for (let done = 0; done < count; done += 1) {
    stopIfAborted(signal);
    clouds.push((await silhouetteOf(cloudLike(random), settings, options)) ?? -1);
    onStep?.(done + 1, count);
    await yieldToOthers();
  }
  const asHigh = silhouette === null ? count : clouds.filter((other) => other >= silhouette).length;
  return { silhouette, clouds, chance: (1 + asHigh) / (1 + count) };
}

async function silhouetteOf(
  features: Features,
  settings: ClusteringSettings,
  { from, to, signal }: TendencyOptions,
): Promise<number | null> {
  const { k, depth, height, ...rest } = settings;
  if ([k, depth, height].some((cut) => cut !== undefined))
    return (await cluster(features, settings)).quality.silhouette;
  const range = { ...(from !== undefined && { from }), ...(to !== undefined && { to }), ...(signal && { signal }) };
  return (await chooseClusters(features, rest, range)).best.quality.silhouette;
}

/**
 * Draws points with the covariances of these: independent scores on their principal components, which lie as far apart as the points
 * do. Means do not matter to clusters.
 */
function cloudsLike(features: Features): (random: Random) => Features {
  const components = reduce(features, {
    dimensions: Math.min(features.count, features.dimensions),
    variance: 1,
  }).features;
  const { values, count, dimensions } = components;
  const deviations = Float64Array.from({ length: dimensions }, (_, d) => {
    let squares = 0;
    for (let at = d; at < values.length; at += dimensions) squares += values[at]! ** 2;
    return Math.sqrt(squares / count);
  });
  return (random) => ({
    values: Float64Array.from(values, (_, at) => deviations[at % dimensions]! * nextNormal(random)),
    count,
    dimensions,
  });
}
