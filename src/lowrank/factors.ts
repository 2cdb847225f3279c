import { BirdboneError } from '../errors.js';
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

/** Throws `usage` unless factors of this rank hold fewer numbers than the matrix, or as many as a rank needs to be one. */
export function refuseUselessRank(name: string, shape: Shape, rank: number): void {
  const most = largestUsefulRank(shape);
  if (Number.isInteger(rank) && rank >= 1 && rank <= most) return;
  const { rows, columns } = shape;
  const held = `${name} [${rows}, ${columns}] has ${rows * columns} weights`;
  if (most === 0) {
    throw new BirdboneError('usage', `${held}; factors of rank 1 hold ${rows + columns}, which is no less.`, {
      tensor: name,
      suggestions: ['Leave matrices with one row or column as they are.'],
    });
  }
  throw new BirdboneError(
    'usage',
    `${held}; factors of rank ${rank} hold ${factorParameters(shape, rank)}. Below ${Number(breakEvenRank(shape).toFixed(1))} they hold fewer: a rank from 1 to ${most} is allowed.`,
    { tensor: name, suggestions: [`Take a rank of at most ${most}.`, 'Ask for a share of the weights: --ratio 0.2'] },
  );
}

/** left · right [rows, columns], on the device. */
export function productOf({ rows, columns, rank, left, right }: Factors, device: Device): Promise<Float32Array> {
  return multiply({ values: left, rows, columns: rank }, { values: right, rows: rank, columns }, device);
}
