import { seededRandom } from '../random.js';
import { squaredDistance } from './centroids.js';
import type { Features } from './features.js';
import { drawn } from './sample.js';

/** Distances that are measured at most: some seconds in ten dimensions. */
const MOST_DISTANCES = 2 ** 25;

/** Of a great many points this many are measured all the same: their mean is known to 0.06 at worst (one standard error). */
const LEAST_POINTS = 256;

/** Points whose silhouettes are measured where `count` belong to clusters: all up to 5792, then fewer, so that time does not grow with the square. */
export function silhouettePoints(count: number): number {
  return Math.min(count, Math.max(LEAST_POINTS, Math.floor(MOST_DISTANCES / count)));
}

export interface Silhouettes {
  /** The points that were measured, ascending. */
  readonly points: Int32Array;
  /** s(i) = (b − a) / max(a, b) of each; 0 for the only point of a cluster. */
  readonly values: Float64Array;
  /** Mean over the points that were measured; null with fewer than two clusters, or where every cluster is one point. */
  readonly mean: number | null;
}

/** Points divided into the clusters 0 … k − 1, none of which is empty. */
export interface Division {
  readonly assignments: Int32Array;
  readonly k: number;
}

/**
 * Returns for each division of the same points the silhouettes (Rousseeuw 1987) of those that belong to a cluster: a is a point's mean
 * distance to the others of its cluster, b that to the nearest other cluster. Of more than 5792 points some are drawn by the seed
 * (`silhouettePoints`), and each of those is compared with all points. A distance is measured once for all divisions; memory grows
 * with the points and the clusters, not with their squares.
 */
export function silhouettes(points: Features, divisions: readonly Division[], seed: number): Silhouettes[] {
  const measuring = divisions.map((division) => measuringOf(division, seed));
  const distances = new Float64Array(points.count);
  for (let i = 0; i < points.count; i += 1) {
    const due = measuring.filter(({ drawn: own, values }) => own[values.length] === i);
    if (due.length === 0) continue;
    for (let j = 0; j < points.count; j += 1) distances[j] = Math.sqrt(squaredDistance(points, i, points.values, j));
    for (const one of due) one.values.push(silhouetteAt(one, i, distances));
  }
  return measuring.map(({ drawn: own, values }) => {
    const mean = values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
    return { points: own, values: Float64Array.from(values), mean };
  });
}

interface Measuring extends Division {
  readonly sizes: Int32Array;
  /** The points to measure, ascending, and the silhouettes of the first of them. */
  readonly drawn: Int32Array;
  readonly values: number[];
}

function measuringOf({ assignments, k }: Division, seed: number): Measuring {
  const members = Int32Array.from(assignments.keys()).filter((i) => assignments[i]! >= 0);
  const sizes = new Int32Array(k);
  for (const i of members) sizes[assignments[i]!]! += 1;
  const isDefined = k >= 2 && k < members.length;
  const few = isDefined
    ? drawn(members.length, silhouettePoints(members.length), seededRandom(seed))
    : new Int32Array(0);
  return { assignments, k, sizes, drawn: few.map((at) => members[at]!), values: [] };
}

function silhouetteAt({ assignments, sizes }: Measuring, i: number, distances: Float64Array): number {
  const sums = new Float64Array(sizes.length);
  for (let j = 0; j < distances.length; j += 1) {
    const cluster = assignments[j]!;
    if (cluster >= 0) sums[cluster]! += distances[j]!;
  }
  return silhouetteOf(sums, sizes, assignments[i]!);
}

/** Returns the mean silhouette of each cluster 0 … k − 1 over its points that were measured; null where none was. */
export function silhouettesByCluster(
  { points, values }: Silhouettes,
  assignments: Int32Array,
  k: number,
): (number | null)[] {
  const sums = new Float64Array(k);
  const counts = new Int32Array(k);
  for (const [at, i] of points.entries()) {
    sums[assignments[i]!]! += values[at]!;
    counts[assignments[i]!]! += 1;
  }
  return Array.from(sums, (sum, cluster) => (counts[cluster] === 0 ? null : sum / counts[cluster]!));
}

/** One point's silhouette from the sums of its distances to the points of each cluster. */
function silhouetteOf(sums: Float64Array, sizes: Int32Array, own: number): number {
  if (sizes[own] === 1) return 0;
  const inside = sums[own]! / (sizes[own]! - 1);
  let outside = Number.POSITIVE_INFINITY;
  for (let other = 0; other < sums.length; other += 1) {
    if (other !== own) outside = Math.min(outside, sums[other]! / sizes[other]!);
  }
  const larger = Math.max(inside, outside);
  // Points that coincide with their own cluster and another: neither is nearer.
  return larger === 0 ? 0 : (outside - inside) / larger;
}
