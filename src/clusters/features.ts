import { BirdboneError } from '../errors.js';

/** Points to cluster: `count` rows of `dimensions` numbers, row by row. No clustering modifies them. */
export interface Features {
  readonly values: Float64Array;
  readonly count: number;
  readonly dimensions: number;
}

/** Squares of differences, and sums of 10²⁰ of them, stay below the largest float64. */
const LARGEST_VALUE = 1e140;

/** Throws `usage` unless there is a point, a dimension, a number for each of them, and every number is finite and below 10¹⁴⁰. */
export function checkFeatures({ values, count, dimensions }: Features): void {
  if (!isCount(count) || !isCount(dimensions) || values.length !== count * dimensions) {
    throw new BirdboneError(
      'usage',
      `${values.length} values are no ${count} points of ${dimensions} dimensions. Clusters need at least one point and one dimension, and a value for each.`,
    );
  }
  const bad = values.findIndex((value) => !(Math.abs(value) <= LARGEST_VALUE));
  if (bad < 0) return;
  throw new BirdboneError(
    'usage',
    `Point ${Math.floor(bad / dimensions)} has ${values[bad]} in dimension ${bad % dimensions}. Clusters need finite values of at most 1e140.`,
    { suggestions: ['Look for the tensor or the text that gives it; scale features that are this large.'] },
  );
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 1;
}

/** The same points times a power of two, the largest between 1 and 2. */
export interface ScaledFeatures extends Features {
  /** What a distance between these points is multiplied with to be one between the points as given. */
  readonly unit: number;
}

/**
 * Returns the points times the power of two that puts the largest value between 1 and 2: squares of small differences do not
 * vanish, and nothing is rounded but what is 10³⁰⁰ times smaller than the largest. Zeros have one sign.
 */
export function scaled({ values, count, dimensions }: Features): ScaledFeatures {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  // Below 2⁻¹⁰²² the factor itself would be infinite: such values are left where that factor ends.
  const exponent = largest === 0 ? 0 : Math.max(-1022, Math.floor(Math.log2(largest)));
  const factor = 2 ** -exponent;
  return { values: values.map((value) => value * factor + 0), count, dimensions, unit: 2 ** exponent };
}

/** Returns the number of different points, or `enough` as soon as that many are found. */
export function distinctPoints({ values, count, dimensions }: Features, enough: number): number {
  const seen = new Set<string>();
  for (let i = 0; i < count && seen.size < enough; i += 1) {
    const point = values.subarray(i * dimensions, (i + 1) * dimensions);
    seen.add(Buffer.from(point.buffer, point.byteOffset, point.byteLength).toString('latin1'));
  }
  return seen.size;
}

/** The points with these indices, in their order. */
export function pointsAt({ values, dimensions }: Features, indices: ArrayLike<number>): Features {
  const picked = new Float64Array(indices.length * dimensions);
  for (let to = 0; to < indices.length; to += 1) {
    const from = indices[to]! * dimensions;
    picked.set(values.subarray(from, from + dimensions), to * dimensions);
  }
  return { values: picked, count: indices.length, dimensions };
}
