import { stopIfAborted } from '../errors.js';
import { isKept, type Mask, maskFrom } from '../sparsity/index.js';
import { type Device, freeMemory } from '../tensor/index.js';
import { byWeight, gathered, permute, scatter } from './column-order.js';
import { type DampingOptions, DEFAULT_DAMP, type Gram } from './damping.js';
import { roundOnDevice } from './device-sweep.js';
import { inverseUpperFactor } from './inverse.js';
import { columnsOfPanel, packDoubles, type Reals, rowsOfPanel, unpack, wholePanel } from './panel.js';
import { type MatrixProducts, matrixProducts } from './products.js';
import type { RoundingTiles } from './rounding-tiles.js';
import type { Removal, SolverCost, SolverMatrix } from './solver.js';
import { SWEEP_COST } from './sparsegpt.js';

/** Columns that are rounded and corrected one by one before the rest of the matrix hears of it (Frantar et al. 2022, B = 128). */
const BLOCK_COLUMNS = 128;

/** Which numbers a matrix's weights may become. The sweep asks for them column by column, in the order it goes. */
export interface Grid {
  /**
   * Columns [k · groupColumns, (k + 1) · groupColumns) share scales, which are fitted when the sweep comes to them: to the weights
   * as corrections have left them. Absent where all scales stand before the sweep: then columns may come in any order.
   */
  readonly groupColumns?: number;
  /** Fits the scales of the group that begins at this column to its weights [rows, columns]. */
  fit?(firstColumn: number, weights: { readonly values: Float32Array; readonly columns: number }): void;
  /** The same as tiles of integers, where that is what it is and they stand before the sweep. */
  tiles?(): RoundingTiles | undefined;
  /** The number that the weight becomes, whose code the grid keeps. 0 stays 0. */
  round(row: number, column: number, weight: number): number;
}

export interface GptqOptions extends DampingOptions {
  /** Whether columns are taken by how much their inputs weigh (diagonal of the Gram matrix), the largest first. */
  readonly actOrder?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** What the matrices of one input share. */
export interface GptqInputs {
  /** U with (G + dI)⁻¹ = Uᵀ U, its rows and columns in the order of the sweep. */
  readonly upper: Reals;
  /** The column that comes j-th; absent: from left to right. */
  readonly order?: Int32Array;
  /** What was added to the diagonal, as a fraction of its mean. */
  readonly damp: number;
  /** No damping made the matrix factorable: U is diagonal, nothing is corrected, and the result is round-to-nearest. */
  readonly isDiagonal: boolean;
  readonly products: MatrixProducts;
  readonly device?: Device | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const GPTQ_COST: SolverCost = SWEEP_COST;

/**
 * Factors the inverse of an input's Gram matrix for `gptq`; damping starts at 1 % of the mean diagonal and grows tenfold up to the
 * mean itself. The Gram matrix is spent. Throws as `factorDamped`.
 */
export async function prepareGptq(
  gram: Gram,
  { actOrder = false, signal, ...options }: GptqOptions,
): Promise<GptqInputs> {
  const order = actOrder ? byWeight(gram) : undefined;
  if (order !== undefined) permute(gram, order);
  const factor = await inverseUpperFactor(gram, { damp: DEFAULT_DAMP, ...options, overwrite: true });
  const { values: upper, damp, isDiagonal } = factor;
  if (upper !== gram.values) freeMemory(gram.values);
  const { device } = options;
  return { upper, damp, isDiagonal, products: matrixProducts(device), device, signal, ...(order && { order }) };
}

export interface GptqResult {
  /** Σ ((w − q) / U_jj)²: the squared error of the outputs over all tokens, damping included. */
  readonly loss: number;
}

/**
 * GPTQ: rounds the columns one after the other and moves what each rounding did into the columns that are still to come. The matrix
 * holds the rounded weights afterwards, the grid their codes. A weight that is 0 stays 0, so that a mask outlives its quantization;
 * with a `removal` the mask is chosen on the way, as SparseGPT chooses it. An input that is always 0 has its weights rounded to
 * nearest; the published code sets them to 0.
 *
 * Sources: Frantar et al. 2022, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", algorithm 1;
 * the joint form: Frantar & Alistarh 2023, "SparseGPT", section 3.5. Throws RangeError for columns in an order of their own where
 * scales or masks are those of neighbouring columns.
 */
export async function gptq(
  matrix: SolverMatrix,
  grid: Grid,
  inputs: GptqInputs,
  removal?: Removal,
): Promise<GptqResult> {
  const { rows, columns } = matrix;
  if (inputs.order !== undefined && (grid.groupColumns ?? removal?.group) !== undefined) {
    throw new RangeError('Columns in another order have no groups of neighbours: fit the scales beforehand.');
  }
  const ordered = gathered(matrix, inputs.order);
  const present = maskFrom(ordered, rows, columns);
  const onDevice = removal === undefined ? await roundedByDevice(ordered, grid, inputs, present) : undefined;
  const weights = onDevice === undefined ? likeUpper(inputs.upper, ordered) : ordered;
  if (weights !== ordered && ordered !== matrix.values) freeMemory(ordered);
  const loss = onDevice ?? (await sweepColumns({ weights, present, matrix, grid, inputs, removal }));
  scatter(weights, matrix, inputs.order);
  if (weights !== matrix.values) freeMemory(weights);
  return { loss };
}

/** The whole sweep on the host, over the weights in place; its loss. */
async function sweepColumns(work: Work): Promise<number> {
  const { weights, matrix, grid, inputs, removal } = work;
  const { rows, columns } = matrix;
  const width = blockWidth(grid.groupColumns ?? 1, removal?.group ?? 1);
  const whole = wholePanel(weights, rows, columns);
  const upper = wholePanel(inputs.upper, columns, columns);
  let loss = 0;
  for (let start = 0; start < columns; start += width) {
    stopIfAborted(inputs.signal);
    const count = Math.min(width, columns - start);
    const errors = roundBlock(work, start, count);
    for (const error of errors) loss += error * error;
    const moved = likeUpper(inputs.upper, errors);
    if (moved !== errors) freeMemory(errors);
    const next = start + count;
    await inputs.products.subtract(
      columnsOfPanel(whole, next, columns - next),
      wholePanel(moved, rows, count),
      rowsOfPanel(columnsOfPanel(upper, next, columns - next), start, count),
    );
    freeMemory(moved);
  }
  return loss;
}

/** The whole sweep over weights in its order on the device, where that can round by the grid's tiles; its loss. */
async function roundedByDevice(
  weights: Float32Array,
  grid: Grid,
  { device, ...inputs }: GptqInputs,
  present: Mask,
): Promise<number | undefined> {
  const tiles = device && grid.tiles?.();
  if (device === undefined || tiles === undefined) return undefined;
  return roundOnDevice(weights, tiles, { device, present, order: undefined, ...inputs });
}

interface Work {
  /** [rows, columns] in the order of the sweep. */
  readonly weights: Reals;
  /** Weights that were not 0 before. */
  readonly present: Mask;
  readonly matrix: SolverMatrix;
  readonly grid: Grid;
  readonly inputs: GptqInputs;
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
function roundBlock(work: Work, start: number, count: number): Float64Array {
  const { matrix, inputs, grid, removal } = work;
  const { rows, columns } = matrix;
  const panel = columnsOfPanel(wholePanel(work.weights, rows, columns), start, count);
  const upper = rowsOfPanel(columnsOfPanel(wholePanel(inputs.upper, columns, columns), start, count), start, count);
  const errors = new Float64Array(rows * count);
  const block: Block = { weights: packDoubles(panel), errors, upper: packDoubles(upper), start, count };
  const step = greatestCommonDivisor(grid.groupColumns ?? count, removal?.group ?? count);
  let mask: { readonly of: Mask; readonly from: number } | undefined;
  for (let from = 0; from < count; from += step) {
    const to = Math.min(from + step, count);
    if (removal !== undefined && from % (removal.group ?? count) === 0) {
      mask = { of: chosen(work, block, from, Math.min(from + (removal.group ?? count), count)), from };
    }
    const { groupColumns } = grid;
    if (groupColumns !== undefined && from % groupColumns === 0) fitGroup(grid, block, from, groupColumns, rows);
    const stays = (row: number, j: number) =>
      isKept(work.present, row, start + j) && (mask === undefined || isKept(mask.of, row, j - mask.from));
    for (let row = 0; row < rows; row += 1) roundRow(block, { row, from, to, stays }, grid, inputs.order);
  }
  unpack(block.weights, panel);
  freeMemory(block.weights);
  return errors;
}

/** The mask of columns [from, to) of the block by w² / U_jj², as SparseGPT chooses it. */
function chosen(
  { matrix, present, removal }: Work,
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

/** Whole groups of scales and of masks, as near to 128 columns as they come. */
function blockWidth(scaleColumns: number, maskColumns: number): number {
  const together = (scaleColumns * maskColumns) / greatestCommonDivisor(scaleColumns, maskColumns);
  return together * Math.max(1, Math.floor(BLOCK_COLUMNS / together));
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** The values in the precision of the factor, double where the matrix is small: themselves where they are in it. */
function likeUpper(upper: Reals, values: Reals): Reals {
  if (upper instanceof Float32Array) return values instanceof Float32Array ? values : new Float32Array(values);
  return values instanceof Float64Array ? values : new Float64Array(values);
}
