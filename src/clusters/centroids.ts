import type { Features } from './features.js';

/** Where clusters are, how large they are, and how far their points lie from them. Noise belongs to none. */
export interface Centres {
  /** Means, [k, dimensions]. */
  readonly centroids: Float64Array;
  readonly sizes: Int32Array;
  /** Σ ‖x − c‖² over the points of each cluster. */
  readonly inertias: Float64Array;
  /** Mean ‖x − c‖ over the points of each cluster. */
  readonly spreads: Float64Array;
}

/** Returns the centres of the clusters 0 … k − 1, none of which is empty. */
export function centresOf(points: Features, assignments: Int32Array, k: number): Centres {
  const { values, count, dimensions } = points;
  const centroids = new Float64Array(k * dimensions);
  const sizes = new Int32Array(k);
  for (let i = 0; i < count; i += 1) {
    const cluster = assignments[i]!;
    if (cluster < 0) continue;
    sizes[cluster]! += 1;
    for (let d = 0; d < dimensions; d += 1) centroids[cluster * dimensions + d]! += values[i * dimensions + d]!;
  }
  for (let at = 0; at < centroids.length; at += 1) centroids[at]! /= sizes[Math.floor(at / dimensions)]!;
  const inertias = new Float64Array(k);
  const spreads = new Float64Array(k);
  for (let i = 0; i < count; i += 1) {
    const cluster = assignments[i]!;
    if (cluster < 0) continue;
    const squared = squaredDistance(points, i, centroids, cluster);
    inertias[cluster]! += squared;
    spreads[cluster]! += Math.sqrt(squared) / sizes[cluster]!;
  }
  return { centroids, sizes, inertias, spreads };
}

/** ‖xᵢ − otherⱼ‖², `others` being rows as long as the points. */
export function squaredDistance(points: Features, i: number, others: Float64Array, j: number): number {
  const { values, dimensions } = points;
  let sum = 0;
  for (let d = 0, a = i * dimensions, b = j * dimensions; d < dimensions; d += 1, a += 1, b += 1) {
    const difference = values[a]! - others[b]!;
    sum += difference * difference;
  }
  return sum;
}

/** The nearest of `centres` to one point, the first of several, and the square of the distance. */
export function nearestCentre(
  points: Features,
  i: number,
  centres: Float64Array,
): { nearest: number; squared: number } {
  const k = centres.length / points.dimensions;
  let nearest = 0;
  let squared = Number.POSITIVE_INFINITY;
  for (let j = 0; j < k; j += 1) {
    const distance = squaredDistance(points, i, centres, j);
    if (distance < squared) {
      squared = distance;
      nearest = j;
    }
  }
  return { nearest, squared };
}
