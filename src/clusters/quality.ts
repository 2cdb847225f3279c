import { type Centres, squaredDistance } from './centroids.js';
import type { Quality } from './clustering.js';
import type { Features } from './features.js';
import type { Silhouettes } from './silhouette.js';

/** Returns every index of a clustering. The points, the centres and the silhouettes are in the same unit; only inertia depends on it. */
export function qualityOf(points: Features, centres: Centres, { mean, points: measured }: Silhouettes): Quality {
  const clustered = centres.sizes.reduce((sum, size) => sum + size, 0);
  return {
    silhouette: mean,
    silhouettePoints: measured.length,
    daviesBouldin: daviesBouldin(centres),
    calinskiHarabasz: calinskiHarabasz(centres),
    inertia: total(centres.inertias),
    noise: (points.count - clustered) / points.count,
  };
}

/**
 * Returns the mean over the clusters of the largest (Sᵢ + Sⱼ) / ‖cᵢ − cⱼ‖, S being the mean distance of a cluster's points to its
 * centroid (Davies & Bouldin 1979 with q = 1, p = 2).
 */
function daviesBouldin({ centroids, sizes, spreads }: Centres): number | null {
  const k = sizes.length;
  if (k < 2) return null;
  const centres = { values: centroids, count: k, dimensions: centroids.length / k };
  let sum = 0;
  for (let i = 0; i < k; i += 1) {
    let worst = 0;
    for (let j = 0; j < k; j += 1) {
      if (j === i) continue;
      const apart = Math.sqrt(squaredDistance(centres, i, centroids, j));
      if (apart === 0) return null;
      worst = Math.max(worst, (spreads[i]! + spreads[j]!) / apart);
    }
    sum += worst;
  }
  return sum / k;
}

/** Returns (B / (k − 1)) / (W / (n − k)): the scatter of the centroids against that of the points around them. */
function calinskiHarabasz({ centroids, sizes, inertias }: Centres): number | null {
  const k = sizes.length;
  const count = sizes.reduce((sum, size) => sum + size, 0);
  const within = total(inertias);
  if (k < 2 || k === count || within === 0) return null;
  const dimensions = centroids.length / k;
  const mean = new Float64Array(dimensions);
  for (let at = 0; at < centroids.length; at += 1) {
    mean[at % dimensions]! += (centroids[at]! * sizes[Math.floor(at / dimensions)]!) / count;
  }
  const centres = { values: centroids, count: k, dimensions };
  const between = sizes.reduce((sum, size, i) => sum + size * squaredDistance(centres, i, mean, 0), 0);
  return between / (k - 1) / (within / (count - k));
}

function total(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}
