import { BirdboneError } from '../errors.js';
import { canonical } from './canonical.js';
import { centresOf } from './centroids.js';
import type { Clustering, ClusteringMethod, ClusteringSettings } from './clustering.js';
import { checkFeatures, distinctPoints, type Features, type ScaledFeatures, scaled } from './features.js';
import { clusterings } from './methods.js';
import { qualityOf } from './quality.js';
import { checkSettings } from './settings.js';
import { type Division, type Silhouettes, silhouettes, silhouettesByCluster } from './silhouette.js';

/**
 * Returns the clusters of the points by one method: the same features, settings and seed give the same clusters. Throws `usage` for
 * features that are no finite numbers, settings out of range or of another method, and more points than the method takes.
 */
export async function cluster(features: Features, settings: ClusteringSettings): Promise<Clustering> {
  const { divide, describe } = await prepare(features, settings);
  return describe([divide(settings.k ?? 1)])[0]!;
}

/** Points ready for one method, which divides them into as many clusters as it is asked for. */
export interface Prepared {
  readonly method: ClusteringMethod;
  /** The clusters alone. */
  divide(k: number): Divided;
  /** Where the clusters of each division are, and how good they are. */
  describe(divisions: readonly Divided[]): Clustering[];
}

/** Clusters numbered in the order of their first points. */
interface Divided extends Division {
  readonly notes: readonly string[];
}

/** Checks the request and does what does not depend on k, which is asked for unless `asksK` says that it comes later. */
export async function prepare(features: Features, settings: ClusteringSettings, asksK = true): Promise<Prepared> {
  const method = await clusterings.load(settings.method);
  checkSettings(settings, method, asksK);
  checkFeatures(features);
  const { limit } = method;
  if (features.count > limit.points) {
    throw new BirdboneError(
      'usage',
      `${settings.method} takes at most ${limit.points} points: ${limit.because}. There are ${features.count}.`,
      { suggestions: ['Use minibatch, or cluster fewer neurons at a time.'] },
    );
  }
  const points = scaled(features);
  const partitionInto = method.prepare(points, settings, points.unit);
  const divide = (asked: number): Divided => {
    const different = distinctPoints(points, asked);
    const fewer = different < asked ? [`${asked} clusters were asked for, but only ${different} points differ.`] : [];
    const { assignments, notes = [] } = partitionInto(different);
    return { ...canonical(assignments), notes: [...fewer, ...notes] };
  };
  return {
    method,
    divide,
    describe(divisions) {
      const measured = silhouettes(points, divisions, settings.seed);
      return divisions.map((division, at) => described(points, division, measured[at]!, settings.method));
    },
  };
}

/** The clustering in the units of the features, with its figures. */
function described(points: ScaledFeatures, divided: Divided, measured: Silhouettes, method: string): Clustering {
  const { assignments, k, notes } = divided;
  const centres = centresOf(points, assignments, k);
  const quality = qualityOf(points, centres, measured);
  const inertia = quality.inertia * points.unit ** 2;
  const clustered = centres.sizes.reduce((sum, size) => sum + size, 0);
  const sampled = `The silhouette is that of ${quality.silhouettePoints} points out of ${clustered}.`;
  return {
    method,
    assignments,
    k,
    sizes: centres.sizes,
    centroids: centres.centroids.map((value) => value * points.unit),
    inertia,
    quality: { ...quality, inertia },
    silhouettes: silhouettesByCluster(measured, assignments, k),
    notes: quality.silhouettePoints > 0 && quality.silhouettePoints < clustered ? [...notes, sampled] : notes,
  };
}
