import type { Device } from '../tensor/index.js';
import { multiply } from './products.js';

/** The size of a linear's weight: rows = outputs, columns = inputs. */
export interface Shape {
  readonly rows: number;
  readonly columns: number;
}

/** W ≈ left · right: a weight [rows, columns] as two thin matrices, row-major. */
export interface Factors extends Shape {
  readonly rank: number;
  /** [rows, rank] */
  readonly left: Float32Array;
  /** [rank, columns] */
  readonly right: Float32Array;
}

/** The rank at which two factors hold as many numbers as the matrix, mn / (m + n); it need not be whole. */
export function breakEvenRank({ rows, columns }: Shape): number {
  return (rows * columns) / (rows + columns);
}

/** The largest rank at which two factors hold fewer numbers than the matrix; 0 where no rank does. */
export function largestUsefulRank(shape: Shape): number {
  return Math.max(0, Math.ceil(breakEvenRank(shape)) - 1);
}

/** Numbers that factors of this rank hold. */
export function factorParameters({ rows, columns }: Shape, rank: number): number {
  return rank * (rows + columns);
}

/** The largest rank that leaves out at least `ratio` of a matrix's parameters; 0 where even rank 1 holds more. */
export function rankAtRatio(shape: Shape, ratio: number): number {
  // A ratio such as 0.7 is not exact in binary: what is above a whole number by rounding alone counts as that number.
  return Math.floor((1 - ratio) * breakEvenRank(shape) + 1e-9);
}

/** left · right [rows, columns], on the device. */
export function productOf({ rows, columns, rank, left, right }: Factors, device: Device): Promise<Float32Array> {
  return multiply({ values: left, rows, columns: rank }, { values: right, rows: rank, columns }, device);
}
