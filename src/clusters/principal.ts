import { seededRandom } from '../random.js';
import { symmetricEigen } from '../solvers/index.js';
import type { Features } from './features.js';
import { nextNormal } from './normal.js';

/** Orthonormal directions as rows [count, dimensions], and Σ of the squared projections on each, descending. */
export interface Principal {
  readonly directions: Float64Array;
  readonly energies: Float64Array;
}

/** Returns all min(count, dimensions) principal directions of centred points, from the smaller of their two Gram matrices. */
export function exactDirections(centred: Features): Principal {
  const { values, count, dimensions } = centred;
  if (dimensions <= count) return descending(columnProducts(centred), dimensions);
  const { energies, directions: combinations } = descending(rowProducts(centred), count);
  const directions = times(combinations, count, values, dimensions);
  orthonormalize(directions, count, dimensions);
  return { energies, directions };
}

/** Directions beyond those asked for, and multiplications with XᵀX, after which the first are right to many digits. */
const OVERSAMPLING = 10;
const ITERATIONS = 4;

/**
 * Returns about the first `rank` principal directions of centred points, without a Gram matrix (randomised subspace iteration: Halko,
 * Martinsson & Tropp 2011, algorithm 4.4). An energy is never larger than the exact one.
 */
export function randomisedDirections(centred: Features, rank: number, seed: number): Principal {
  const { dimensions } = centred;
  const width = Math.min(rank + OVERSAMPLING, dimensions, centred.count);
  const random = seededRandom(seed);
  let basis: Float64Array = Float64Array.from({ length: width * dimensions }, () => nextNormal(random));
  for (let iteration = 0; iteration < ITERATIONS; iteration += 1) {
    orthonormalize(basis, width, dimensions);
    basis = timesGram(centred, basis, width);
  }
  orthonormalize(basis, width, dimensions);
  const scores = projections(centred, basis, width);
  const { energies, directions: rotation } = descending(
    columnProducts({ values: scores, count: centred.count, dimensions: width }),
    width,
  );
  return { energies, directions: times(rotation, width, basis, dimensions) };
}

/** X Vᵀ [count, width] of directions V [width, dimensions]. */
export function projections(
  { values, count, dimensions }: Features,
  directions: Float64Array,
  width: number,
): Float64Array {
  const scores = new Float64Array(count * width);
  for (let i = 0; i < count; i += 1) {
    for (let j = 0; j < width; j += 1) {
      let sum = 0;
      for (let d = 0, a = i * dimensions, b = j * dimensions; d < dimensions; d += 1, a += 1, b += 1) {
        sum += values[a]! * directions[b]!;
      }
      scores[i * width + j] = sum;
    }
  }
  return scores;
}

/** V XᵀX [width, dimensions] */
function timesGram(points: Features, directions: Float64Array, width: number): Float64Array {
  const { values, count, dimensions } = points;
  const scores = projections(points, directions, width);
  const products = new Float64Array(width * dimensions);
  for (let i = 0; i < count; i += 1) {
    for (let j = 0; j < width; j += 1) {
      addTimes(products, j * dimensions, scores[i * width + j]!, { values, from: i * dimensions, length: dimensions });
    }
  }
  return products;
}

/** XᵀX [dimensions, dimensions] */
function columnProducts({ values, count, dimensions }: Features): Float64Array {
  const products = new Float64Array(dimensions * dimensions);
  for (let i = 0; i < count; i += 1) {
    for (let a = 0; a < dimensions; a += 1) {
      const row = { values, from: i * dimensions, length: a + 1 };
      addTimes(products, a * dimensions, values[i * dimensions + a]!, row);
    }
  }
  return mirrored(products, dimensions);
}

/** XXᵀ [count, count] */
function rowProducts({ values, count, dimensions }: Features): Float64Array {
  const products = new Float64Array(count * count);
  for (let a = 0; a < count; a += 1) {
    for (let b = 0; b <= a; b += 1) products[a * count + b] = dot(values, a * dimensions, b * dimensions, dimensions);
  }
  return mirrored(products, count);
}

/** The lower triangle over the upper one too. */
function mirrored(matrix: Float64Array, size: number): Float64Array {
  for (let a = 0; a < size; a += 1) for (let b = 0; b < a; b += 1) matrix[b * size + a] = matrix[a * size + b]!;
  return matrix;
}

/** left [rows, inner] · right [inner, columns] */
function times(left: Float64Array, rows: number, right: Float64Array, columns: number): Float64Array {
  const inner = right.length / columns;
  const products = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i += 1) {
    for (let k = 0; k < inner; k += 1) {
      addTimes(products, i * columns, left[i * inner + k]!, { values: right, from: k * columns, length: columns });
    }
  }
  return products;
}

interface Span {
  readonly values: Float64Array;
  readonly from: number;
  readonly length: number;
}

function addTimes(sums: Float64Array, to: number, factor: number, { values, from, length }: Span): void {
  for (let d = 0; d < length; d += 1) sums[to + d]! += factor * values[from + d]!;
}

function dot(values: Float64Array, a: number, b: number, length: number): number {
  let sum = 0;
  for (let d = 0; d < length; d += 1) sum += values[a + d]! * values[b + d]!;
  return sum;
}

function descending(matrix: Float64Array, size: number): Principal {
  const { values, vectors } = symmetricEigen(matrix, size);
  const directions = new Float64Array(size * size);
  for (let i = 0; i < size; i += 1) {
    directions.set(vectors.subarray((size - 1 - i) * size, (size - i) * size), i * size);
  }
  return { energies: values.map((value) => Math.max(0, value)).reverse(), directions };
}

/** What is left of a row below this fraction of it, after the rows before are taken out, is rounding: the row becomes 0. */
const DEPENDENT = 1e-12;

/** Makes the rows orthonormal in place, in their order; rows that depend on those before become 0. */
function orthonormalize(rows: Float64Array, count: number, length: number): void {
  for (let i = 0; i < count; i += 1) {
    const at = i * length;
    const before = Math.sqrt(dot(rows, at, at, length));
    // Twice is enough (Kahan; Parlett 1980): the first pass leaves rounding of the size of what it takes out.
    for (let pass = 0; pass < 2; pass += 1) {
      for (let j = 0; j < i; j += 1) {
        addTimes(rows, at, -dot(rows, at, j * length, length), { values: rows, from: j * length, length });
      }
    }
    const after = Math.sqrt(dot(rows, at, at, length));
    const factor = after > DEPENDENT * before ? 1 / after : 0;
    for (let d = 0; d < length; d += 1) rows[at + d]! *= factor;
  }
}
