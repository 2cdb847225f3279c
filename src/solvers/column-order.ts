import { diagonalOf, type Gram } from './damping.js';
import type { Reals } from './panel.js';
import type { SolverMatrix } from './solver.js';

/** Columns by the diagonal of the Gram matrix, the largest first, of equals the first. */
export function byWeight({ values, columns }: Gram): Int32Array {
  const diagonal = diagonalOf(values, columns);
  return Int32Array.from({ length: columns }, (_, j) => j).sort((a, b) => diagonal[b]! - diagonal[a]! || a - b);
}

/** Brings the Gram matrix's rows and columns into this order, in place. */
export function permute({ values, columns }: Gram, order: Int32Array): void {
  const row = new Float32Array(columns);
  for (let start = 0; start < values.length; start += columns) {
    for (let j = 0; j < columns; j += 1) row[j] = values[start + order[j]!]!;
    values.set(row, start);
  }
  const rowAt = (i: number) => values.subarray(i * columns, (i + 1) * columns);
  // Each row waits only for the one that comes to its place: around a cycle, the first is put aside.
  const done = new Uint8Array(columns);
  for (let first = 0; first < columns; first += 1) {
    if (done[first] === 1) continue;
    row.set(rowAt(first));
    let to = first;
    for (let from = order[to]!; from !== first; to = from, from = order[to]!) {
      rowAt(to).set(rowAt(from));
      done[to] = 1;
    }
    rowAt(to).set(row);
    done[to] = 1;
  }
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
