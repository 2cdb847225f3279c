import { centresOf, squaredDistance } from './centroids.js';
import { checkFeatures, type Features, scaled } from './features.js';

/** How far clusters are apart, and how wide they are. */
export interface ClusterDistances {
  readonly k: number;
  /** Between centroids, [k, k]. */
  readonly centroids: Float64Array;
  /**
   * Root mean square distance between a point of one cluster and a point of another, [k, k]; on the diagonal, between two
   * different points of the cluster, 0 where it has one. Over all pairs, from the means and the spreads:
   * E ‖x − y‖² = ‖c_x − c_y‖² + s_x² + s_y².
   */
  readonly members: Float64Array;
  /** Root mean square distance of each cluster's points to its centroid. */
  readonly spreads: Float64Array;
}

/** Returns the distances between clusters numbered 0 … k − 1 without gaps, in units of the features. Noise is left out. */
export function clusterDistances(features: Features, assignments: Int32Array): ClusterDistances {
  checkFeatures(features);
  const points = scaled(features);
  const k = assignments.reduce((most, cluster) => Math.max(most, cluster + 1), 0);
  const { centroids, sizes, inertias } = centresOf(points, assignments, k);
  const centres = { values: centroids, count: k, dimensions: points.dimensions };
  const between = new Float64Array(k * k);
  const members = new Float64Array(k * k);
  for (let i = 0; i < k; i += 1) {
    for (let j = 0; j < k; j += 1) {
      const squared = squaredDistance(centres, i, centroids, j);
      between[i * k + j] = Math.sqrt(squared) * points.unit;
      const pairs =
        i === j ? withinPairs(inertias[i]!, sizes[i]!) : squared + inertias[i]! / sizes[i]! + inertias[j]! / sizes[j]!;
      members[i * k + j] = Math.sqrt(pairs) * points.unit;
    }
  }
  const spreads = inertias.map((inertia, i) => Math.sqrt(inertia / sizes[i]!) * points.unit);
  return { k, centroids: between, members, spreads };
}

/** Mean squared distance of two different points: 2 n s² over all ordered pairs, n (n − 1) of which are of different points. */
function withinPairs(inertia: number, size: number): number {
  return size < 2 ? 0 : (2 * inertia) / (size - 1);
}
