import { isKept, type Mask } from '../sparsity/index.js';
import { freeMemory } from '../tensor/index.js';
import type { Grid } from './grid.js';
import { columnsOfPanel, packDoubles, type Reals, rowsOfPanel, unpack, wholePanel } from './panel.js';
import type { Removal, SolverMatrix } from './solver.js';

/** A matrix in the middle of its sweep. */
export interface Sweep {
  /** [rows, columns] in the order of the sweep. */
  readonly weights: Reals;
  /** Weights that were not 0 before. */
  readonly present: Mask;
  readonly matrix: SolverMatrix;
  readonly grid: Grid;
  readonly inputs: {
    /** [columns, columns] in the order of the sweep. */
    readonly upper: Reals;
    readonly order?: Int32Array;
  };
  readonly removal: Removal | undefined;
}

/** One block of columns [rows, count] in double precision. */
interface Block {
  readonly weights: Float64Array;
  readonly errors: Float64Array;
  readonly upper: Float64Array;
  readonly start: number;
  readonly count: number;
}

/** Rounds and corrects within one block of columns; returns the errors (w − q) / U_jj [rows, count]. */
export function roundBlock(sweep: Sweep, start: number, count: number): Float64Array {
  const { matrix, inputs, grid, removal } = sweep;
  const { rows, columns } = matrix;
  const panel = columnsOfPanel(wholePanel(sweep.weights, rows, columns), start, count);
  const upper = rowsOfPanel(columnsOfPanel(wholePanel(inputs.upper, columns, columns), start, count), start, count);
  const errors = new Float64Array(rows * count);
  const block: Block = { weights: packDoubles(panel), errors, upper: packDoubles(upper), start, count };
  const step = greatestCommonDivisor(grid.groupColumns ?? count, removal?.group ?? count);
  let mask: { readonly of: Mask; readonly from: number } | undefined;
  for (let from = 0; from < count; from += step) {
    const to = Math.min(from + step, count);
    if (removal !== undefined && from % (removal.group ?? count) === 0) {
      mask = { of: chosen(sweep, block, from, Math.min(from + (removal.group ?? count), count)), from };
    }
    const { groupColumns } = grid;
    if (groupColumns !== undefined && from % groupColumns === 0) fitGroup(grid, block, from, groupColumns, rows);
    const stays = (row: number, j: number) =>
      isKept(sweep.present, row, start + j) && (mask === undefined || isKept(mask.of, row, j - mask.from));
    for (let row = 0; row < rows; row += 1) roundRow(block, { row, from, to, stays }, grid, inputs.order);
  }
  unpack(block.weights, panel);
  freeMemory(block.weights);
  return errors;
}

/** The mask of columns [from, to) of the block by w² / U_jj², as SparseGPT chooses it. */
function chosen(
  { matrix, present, removal }: Sweep,
  { weights, upper, start, count }: Block,
  from: number,
  to: number,
): Mask {
  const { rows, name } = matrix;
  const scores = new Float32Array(rows * (to - from));
  for (let row = 0, next = 0; row < rows; row += 1) {
    for (let j = from; j < to; j += 1, next += 1) {
      if (!isKept(present, row, start + j)) continue;
      scores[next] = Math.abs(weights[row * count + j]!) / upper[j * count + j]!;
    }
  }
  return removal!.mask({ name, rows, columns: to - from, values: scores }, start + from);
}

function fitGroup(
  grid: Grid,
  { weights, start, count }: Block,
  from: number,
  groupColumns: number,
  rows: number,
): void {
  const columns = Math.min(groupColumns, count - from);
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    values.set(weights.subarray(row * count + from, row * count + from + columns), row * columns);
  }
  grid.fit!(start + from, { values, columns });
}

interface RowPart {
  readonly row: number;
  readonly from: number;
  readonly to: number;
  readonly stays: (row: number, j: number) => boolean;
}

/** Rows do not see each other: one row's part of the block is rounded while it is in the cache. */
function roundRow(block: Block, { row, from, to, stays }: RowPart, grid: Grid, order: Int32Array | undefined): void {
  const { weights, errors, upper, start, count } = block;
  const first = row * count;
  for (let j = from; j < to; j += 1) {
    const weight = weights[first + j]!;
    const rounded = grid.round(row, order?.[start + j] ?? start + j, stays(row, j) ? weight : 0);
    weights[first + j] = rounded;
    const error = (weight - rounded) / upper[j * count + j]!;
    if (error === 0) continue;
    errors[first + j] = error;
    for (let k = j + 1; k < count; k += 1) weights[first + k]! -= error * upper[j * count + k]!;
  }
}

/** The greatest number that divides both. */
export function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
