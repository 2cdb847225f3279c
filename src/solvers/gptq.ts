import { stopIfAborted } from '../errors.js';
import { type Mask, maskFrom } from '../sparsity/index.js';
import { type Device, freeMemory } from '../tensor/index.js';
import { byWeight, gathered, permute, scatter } from './column-order.js';
import { type DampingOptions, DEFAULT_DAMP, type Gram } from './damping.js';
import { roundOnDevice } from './device-sweep.js';
import { greatestCommonDivisor, roundBlock, type Sweep } from './gptq-block.js';
import type { Grid } from './grid.js';
import { inverseUpperFactor } from './inverse.js';
import { columnsOfPanel, type Reals, rowsOfPanel, wholePanel } from './panel.js';
import { type MatrixProducts, matrixProducts } from './products.js';
import type { Removal, SolverCost, SolverMatrix } from './solver.js';
import { SWEEP_COST } from './sparsegpt.js';

/** Columns that are rounded and corrected one by one before the rest of the matrix hears of it (Frantar et al. 2022, B = 128). */
const BLOCK_COLUMNS = 128;

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
  const loss = onDevice ?? (await sweepColumns({ weights, present, matrix, grid, inputs, removal }, inputs));
  scatter(weights, matrix, inputs.order);
  if (weights !== matrix.values) freeMemory(weights);
  return { loss };
}

/** The whole sweep on the host, over the weights in place; its loss. */
async function sweepColumns(sweep: Sweep, inputs: GptqInputs): Promise<number> {
  const { weights, matrix, grid, removal } = sweep;
  const { rows, columns } = matrix;
  const width = blockWidth(grid.groupColumns ?? 1, removal?.group ?? 1);
  const whole = wholePanel(weights, rows, columns);
  const upper = wholePanel(inputs.upper, columns, columns);
  let loss = 0;
  for (let start = 0; start < columns; start += width) {
    stopIfAborted(inputs.signal);
    const count = Math.min(width, columns - start);
    const errors = roundBlock(sweep, start, count);
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

/** Whole groups of scales and of masks, as near to 128 columns as they come. */
function blockWidth(scaleColumns: number, maskColumns: number): number {
  const together = (scaleColumns * maskColumns) / greatestCommonDivisor(scaleColumns, maskColumns);
  return together * Math.max(1, Math.floor(BLOCK_COLUMNS / together));
}

/** The values in the precision of the factor, double where the matrix is small: themselves where they are in it. */
function likeUpper(upper: Reals, values: Reals): Reals {
  if (upper instanceof Float32Array) return values instanceof Float32Array ? values : new Float32Array(values);
  return values instanceof Float64Array ? values : new Float64Array(values);
}
