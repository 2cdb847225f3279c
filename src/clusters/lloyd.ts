import { kmeans } from 'ml-kmeans';
import { nearestCentre } from './centroids.js';
import type { Features } from './features.js';

/** Lloyd's iterations end by themselves, mostly after some tens; a cycle of equal distances must end too. */
const MOST_ITERATIONS = 300;

/** The points as ml-kmeans takes them. */
export type Rows = number[][];

export function rowsOf({ values, count, dimensions }: Features): Rows {
  return Array.from({ length: count }, (_, i) => [...values.subarray(i * dimensions, (i + 1) * dimensions)]);
}

/**
 * Returns k centres of one run of k-means++ (Arthur & Vassilvitskii 2007) and Lloyd's iterations, started from the seed.
 *
 * ml-kmeans 7.0.1 leaves a cluster that lost its points where it is, and returns it empty: each of those is moved onto the
 * point farthest from its centre, and the iterations go on from there. Its tolerance is an absolute squared distance, which
 * says nothing of features whose scale it does not know, so iterations end when no centre moves at all. Without an integer
 * for a seed it would draw from Math.random.
 */
export function lloydCentres(points: Features, rows: Rows, k: number, seed: number): Float64Array {
  const settings = { tolerance: 0, maxIterations: MOST_ITERATIONS };
  let { centroids } = kmeans(rows, k, { ...settings, seed });
  // A centre that is moved onto a point of its own takes at least that point; k − 1 such moves fill every cluster.
  for (let moves = 1; moves < k; moves += 1) {
    const moved = fillEmpty(points, centroids);
    if (moved === undefined) break;
    centroids = kmeans(rows, k, { ...settings, initialization: moved }).centroids;
  }
  return Float64Array.from(centroids.flat());
}

/** The centres with each empty one moved onto the point farthest from its own; undefined when none is empty, or no point is off its centre. */
export function fillEmpty(points: Features, centroids: readonly number[][]): number[][] | undefined {
  const flat = Float64Array.from(centroids.flat());
  const members = new Int32Array(centroids.length);
  const distances = new Float64Array(points.count);
  for (let i = 0; i < points.count; i += 1) {
    const { nearest, squared } = nearestCentre(points, i, flat);
    members[nearest]! += 1;
    distances[i] = squared;
  }
  const moved = centroids.map((centre) => [...centre]);
  let moves = 0;
  for (const [empty, size] of members.entries()) {
    if (size > 0) continue;
    const farthest = distances.reduce((best, distance, i) => (distance > distances[best]! ? i : best), 0);
    if (distances[farthest] === 0) break;
    const at = farthest * points.dimensions;
    moved[empty] = [...points.values.subarray(at, at + points.dimensions)];
    moves += 1;
    const target = Float64Array.from(moved[empty]);
    for (let i = 0; i < points.count; i += 1) {
      distances[i] = Math.min(distances[i]!, nearestCentre(points, i, target).squared);
    }
  }
  return moves === 0 ? undefined : moved;
}

/** The nearest centre of every point, and Σ of the squared distances. */
export function assignAll(points: Features, centres: Float64Array): { assignments: Int32Array; inertia: number } {
  const assignments = new Int32Array(points.count);
  let inertia = 0;
  for (let i = 0; i < points.count; i += 1) {
    const { nearest, squared } = nearestCentre(points, i, centres);
    assignments[i] = nearest;
    inertia += squared;
  }
  return { assignments, inertia };
}
