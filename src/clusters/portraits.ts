import { centresOf, squaredDistance } from './centroids.js';
import { checkFeatures, type Features, scaled } from './features.js';

export interface PortraitOptions {
  /** Points of each cluster that are named; 3 unless given. */
  readonly points?: number;
  /** Dimensions of each cluster that are named; 3 unless given. */
  readonly dimensions?: number;
}

/** What is particular about a cluster. */
export interface Portrait {
  /** The points nearest to its centroid, the nearest first. */
  readonly typical: readonly number[];
  /** The points farthest from it, the farthest first; none that is among the typical ones. */
  readonly outlying: readonly number[];
  /**
   * The dimensions in which it differs most from all other points that belong to a cluster: the difference of the means over the deviation within both (Cohen's d),
   * signed; infinite where nothing varies within. Dimensions that do not differ are left out, and all are with one cluster.
   */
  readonly marks: readonly { readonly dimension: number; readonly difference: number }[];
}

/** Returns the portrait of each cluster 0 … k − 1. Of equal points and dimensions, the first come first. */
export function portraitsOf(features: Features, assignments: Int32Array, options: PortraitOptions = {}): Portrait[] {
  const { points: named = 3, dimensions: marked = 3 } = options;
  checkFeatures(features);
  const points = scaled(features);
  const k = assignments.reduce((most, cluster) => Math.max(most, cluster + 1), 0);
  const { centroids } = centresOf(points, assignments, k);
  const members = Array.from({ length: k }, (): number[] => []);
  for (const [i, cluster] of assignments.entries()) members[cluster]?.push(i);
  return members.map((own, cluster) => {
    const distances = new Map(own.map((i) => [i, squaredDistance(points, i, centroids, cluster)]));
    const byDistance = own.toSorted((a, b) => distances.get(a)! - distances.get(b)! || a - b);
    const typical = byDistance.slice(0, named);
    const rest = byDistance.slice(typical.length).sort((a, b) => distances.get(b)! - distances.get(a)! || a - b);
    const others = members.flatMap((other, at) => (at === cluster ? [] : other));
    return { typical, outlying: rest.slice(0, named), marks: marksOf(points, own, others).slice(0, marked) };
  });
}

/** The dimensions in which two sets of points differ, by how much. */
function marksOf(points: Features, own: readonly number[], others: readonly number[]): Portrait['marks'] {
  if (others.length === 0) return [];
  const marks = Array.from({ length: points.dimensions }, (_, dimension) => {
    const [inside, outside] = [momentsOf(points, dimension, own), momentsOf(points, dimension, others)];
    const gap = inside.mean - outside.mean;
    const within = Math.sqrt((inside.squares + outside.squares) / (own.length + others.length));
    return { dimension, difference: gap === 0 ? 0 : gap / within };
  });
  return marks
    .filter(({ difference }) => difference !== 0)
    .sort((a, b) => byMagnitude(a.difference, b.difference) || a.dimension - b.dimension);
}

/** The larger first; two infinite ones are equal, and not NaN apart. */
function byMagnitude(a: number, b: number): number {
  return Math.abs(a) === Math.abs(b) ? 0 : Math.abs(b) - Math.abs(a);
}

function momentsOf({ values, dimensions }: Features, dimension: number, indices: readonly number[]) {
  const at = (i: number) => values[i * dimensions + dimension]!;
  const mean = indices.reduce((sum, i) => sum + at(i), 0) / indices.length;
  return { mean, squares: indices.reduce((sum, i) => sum + (at(i) - mean) ** 2, 0) };
}
