import { squaredDistance } from './centroids.js';
import { type ClusteringMethod, NOISE } from './clustering.js';
import type { Features } from './features.js';
import { neighbourRadius } from './neighbour-radius.js';

/** Not looked at yet. */
const NEW = -2;

/**
 * DBSCAN (Ester, Kriegel, Sander & Xu 1996): clusters are dense points within reach of each other and the points around them; what
 * is left is noise. A point around two clusters goes to the one that begins first. Our own: density-clustering has had no release
 * since 2015, @cdxoo/dbscan 1.1.1 lists points at the edge of clusters as noise too and searches its lists for every neighbour, and
 * Turf's measures distances on the earth.
 */
const dbscan: ClusteringMethod = {
  takes: ['epsilon', 'minPoints'],
  isNumbered: false,
  limit: { points: 16_384, because: 'every point is compared with every other, and again with a radius to find' },
  prepare(points, settings, unit) {
    // Sander et al. 1998 have twice the dimensions, which no data fills where there are many; Birant & Kut 2007 ln n.
    const minPoints = settings.minPoints ?? Math.max(4, Math.round(Math.log(points.count)));
    const given = settings.epsilon === undefined ? undefined : settings.epsilon / unit;
    const epsilon = given ?? neighbourRadius(points, minPoints, settings.seed);
    const partition = {
      assignments: densityClusters(points, epsilon * epsilon, minPoints),
      notes: given === undefined ? [`epsilon ${(epsilon * unit).toPrecision(6)}, minPoints ${minPoints}`] : [],
    };
    return () => partition;
  },
};

export default dbscan;

function densityClusters(points: Features, squaredRadius: number, minPoints: number): Int32Array {
  const assignments = new Int32Array(points.count).fill(NEW);
  let k = 0;
  for (let start = 0; start < points.count; start += 1) {
    if (assignments[start] !== NEW) continue;
    const around = within(points, start, squaredRadius);
    if (around.length < minPoints) {
      assignments[start] = NOISE;
      continue;
    }
    assignments[start] = k;
    grow(points, around, { assignments, cluster: k, squaredRadius, minPoints });
    k += 1;
  }
  return assignments;
}

interface Growing {
  readonly assignments: Int32Array;
  readonly cluster: number;
  readonly squaredRadius: number;
  readonly minPoints: number;
}

/** Takes in the points around a dense one, those around the dense ones of them, and so on. Each point waits once at most. */
function grow(points: Features, around: readonly number[], growing: Growing): void {
  const { assignments, cluster, squaredRadius, minPoints } = growing;
  const waiting: number[] = [];
  const take = (others: readonly number[]) => {
    for (const other of others) {
      if (assignments[other] === NEW) waiting.push(other);
      if (assignments[other]! < 0) assignments[other] = cluster;
    }
  };
  take(around);
  for (let point = waiting.pop(); point !== undefined; point = waiting.pop()) {
    const next = within(points, point, squaredRadius);
    if (next.length >= minPoints) take(next);
  }
}

/** The points within the radius, the one in the middle among them. */
function within(points: Features, middle: number, squaredRadius: number): number[] {
  const around: number[] = [];
  for (let other = 0; other < points.count; other += 1) {
    if (squaredDistance(points, middle, points.values, other) <= squaredRadius) around.push(other);
  }
  return around;
}
