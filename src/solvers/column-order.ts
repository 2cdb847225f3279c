import { diagonalOf, type Gram } from './damping.js';
import type { Reals } from './panel.js';
import type { SolverMatrix } from './solver.js';

/** Columns by the diagonal of the Gram matrix, the largest first, of equals the first. */
export function byWeight({ values, columns }: Gram): Int32Array {
  const diagonal = diagonalOf(values, columns);
  return Int32Array.from({ length: columns }, (_, j) => j).sort((a, b) => diagonal[b]! - diagonal[a]! || a - b);
}

/** The Gram matrix's values with rows and columns in this order. */
export function permuted({ values, columns }: Gram, order: Int32Array): Float32Array {
  const result = new Float32Array(values.length);
  for (let i = 0, next = 0; i < columns; i += 1) {
    const row = order[i]! * columns;
    for (let j = 0; j < columns; j += 1, next += 1) result[next] = values[row + order[j]!]!;
  }
  return result;
}

/** The matrix's values with their columns in this order. */
export function gathered({ values, columns }: SolverMatrix, order: Int32Array | undefined): Float32Array {
  if (order === undefined) return values;
  const result = new Float32Array(values.length);
  for (let start = 0; start < values.length; start += columns) {
    for (let j = 0; j < columns; j += 1) result[start + j] = values[start + order[j]!]!;
  }
  return result;
}

/** Writes weights whose columns are in this order back to their places. */
export function scatter(weights: Reals, { values, columns }: SolverMatrix, order: Int32Array | undefined): void {
  for (let start = 0; start < values.length; start += columns) {
    for (let j = 0; j < columns; j += 1) values[start + (order?.[j] ?? j)] = weights[start + j]!;
  }
}
