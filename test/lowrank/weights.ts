import type { Factors, WeightRows } from '../../src/lowrank/index.js';
import { plainProduct, randomValues } from '../solvers/random.js';

/** A weight in memory. */
export function weightOf(values: Float32Array, rows: number, columns: number, name = 'w'): WeightRows {
  return {
    name,
    rows,
    columns,
    read: async (first, count) => values.slice(first * columns, (first + count) * columns),
  };
}

/** A random weight whose rows and columns differ in size, so that its spectrum falls. */
export function randomWeight(rows: number, columns: number, seed: number): Float32Array {
  return randomValues(rows * columns, seed).map(
    (value, i) => value / (1 + (i % columns)) ** 0.5 / (1 + Math.floor(i / columns)) ** 0.5,
  );
}

/** W − left · right in double precision. */
export function errorOf(values: Float32Array, { left, right, rank, rows, columns }: Factors): Float64Array {
  const product = plainProduct(left, right, { rows, inner: rank, columns });
  return product.map((value, i) => values[i]! - value);
}

/** ‖D X‖² = tr(D G Dᵀ), in double precision. */
export function costOf(error: Float64Array, gram: ArrayLike<number>, rows: number, columns: number): number {
  const seen = plainProduct(error, gram, { rows, inner: columns, columns });
  return seen.reduce((sum, value, i) => sum + value * error[i]!, 0);
}

export function squares(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value * value, 0);
}
