import type { Features } from '../../src/clusters/index.js';
import { type Random, seededRandom } from '../../src/random.js';

export interface Planted {
  readonly features: Features;
  /** The cluster that each point was drawn from. */
  readonly truth: Int32Array;
}

export interface PlantedOptions {
  readonly count: number;
  readonly dimensions: number;
  readonly k: number;
  /** Distance from the origin of the middle of each cluster, whose deviation is 1 in every dimension. */
  readonly apart?: number;
  readonly seed?: number;
}

/** Normal clusters around points on the axes, on both sides, the points of all clusters mixed. */
export function planted({ count, dimensions, k, apart = 8, seed = 1 }: PlantedOptions): Planted {
  const random = seededRandom(seed);
  const truth = Int32Array.from({ length: count }, (_, i) => (i < k ? i : random.below(k)));
  const values = Float64Array.from({ length: count * dimensions }, (_, at) => {
    const cluster = truth[Math.floor(at / dimensions)]!;
    const sign = cluster < dimensions ? 1 : -1;
    return normal(random) + (at % dimensions === cluster % dimensions ? sign * apart : 0);
  });
  return { features: { values, count, dimensions }, truth };
}

export function normal(random: Random): number {
  // Irwin & Hall: the sum of twelve uniform numbers, less 6.
  let sum = -6;
  for (let i = 0; i < 12; i += 1) sum += uniform(random);
  return sum;
}

export function uniform(random: Random): number {
  return random.bits() / 2 ** 32;
}

/** Points from rows written out. */
export function pointsOf(rows: readonly (readonly number[])[]): Features {
  return { values: Float64Array.from(rows.flat()), count: rows.length, dimensions: rows[0]!.length };
}

/** Rows of points. */
export function rowsOf({ values, count, dimensions }: Features): number[][] {
  return Array.from({ length: count }, (_, i) => [...values.subarray(i * dimensions, (i + 1) * dimensions)]);
}

/** Eleven points in three clusters and one alone, whose figures other programs have told. */
export const ELEVEN = pointsOf([
  [1, 2],
  [2, 1],
  [1.5, 1.5],
  [8, 8],
  [9, 8.5],
  [8.5, 9],
  [8, 9.5],
  [1, 9],
  [2, 8],
  [1.5, 8.5],
  [5, 5],
]);
