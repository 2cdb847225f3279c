import { stopIfAborted } from '../errors.js';
import { isKept, type Mask, maskFrom } from '../sparsity/index.js';
import { type Device, freeMemory } from '../tensor/index.js';
import { DEAD_INPUT, sweepOnDevice } from './device-sweep.js';
import { inverseUpperFactor } from './inverse.js';
import { columnsOfPanel, packDoubles, type Reals, rowsOfPanel, unpack, wholePanel } from './panel.js';
import { type MatrixProducts, matrixProducts } from './products.js';
import type { Removal, Solver, SolverCost, SolverMatrix } from './solver.js';

/** Columns whose weights are chosen together and corrected one by one (Frantar & Alistarh 2023, B = Bs = 128). */
const BLOCK_COLUMNS = 128;

/** Blocks after which the columns further right are corrected, by one product instead of eight. */
const BLOCKS_PER_UPDATE = 8;

/** What the linears of one input share. */
export interface Sweep {
  /** U with (G + dI)⁻¹ = Uᵀ U. */
  readonly upper: Reals;
  /** 1 where an input was 0 for every token. */
  readonly dead: Uint8Array;
  readonly products: MatrixProducts;
  readonly device: Device;
  readonly signal?: AbortSignal | undefined;
}

/** A factorization and the inverse of its factor; half a product with the factor. */
export const SWEEP_COST: SolverCost = {
  perInput: (columns) => (2 / 3) * columns ** 3,
  perMatrix: (rows, columns) => rows * columns ** 2,
};

/**
 * SparseGPT: goes through the columns from left to right; of each block of columns it removes the weights whose loss w²/U_jj²
 * is smallest, and moves what each of them did into the columns to its right. One sweep, no iteration.
 *
 * Source: Frantar & Alistarh 2023, "SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot", algorithm 1.
 */
const sparsegpt: Solver = {
  kind: 'prunes',
  cost: SWEEP_COST,
  async prepare(gram, { device, signal, ...context }) {
    const { columns } = gram;
    const dead = Uint8Array.from({ length: columns }, (_, i) => (gram.values[i * columns + i] === 0 ? 1 : 0));
    const factor = await inverseUpperFactor(gram, { ...context, device, overwrite: true });
    const sweep = { upper: factor.values, dead, products: matrixProducts(device), device, signal };
    return (matrix, removal) => sweepColumns(matrix, removal, sweep);
  },
};

export default sparsegpt;

/** The sweep over one matrix, in place. Every column has its turn, so that what is gone ends as 0 though corrections reach it. */
export async function sweepColumns(matrix: SolverMatrix, removal: Removal, sweep: Sweep): Promise<void> {
  const { rows, columns, values } = matrix;
  const present = maskFrom(values, rows, columns);
  if (await sweepOnDevice(matrix, removal, { ...sweep, present })) return;
  const weights = wholePanel(values, rows, columns);
  const upper = wholePanel(sweep.upper, columns, columns);
  const width = blockWidth(removal.group);
  const updateWidth = width * BLOCKS_PER_UPDATE;
  for (let first = 0; first < columns; first += updateWidth) {
    stopIfAborted(sweep.signal);
    const end = Math.min(first + updateWidth, columns);
    const errors = emptyLike(sweep.upper, rows * (end - first));
    const allErrors = wholePanel(errors, rows, end - first);
    for (let start = first; start < end; start += width) {
      const count = Math.min(width, end - start);
      const blockErrors = sweepBlock({ matrix, present, removal, sweep }, start, count);
      unpack(blockErrors, columnsOfPanel(allErrors, start - first, count));
      freeMemory(blockErrors);
      const next = start + count;
      await sweep.products.subtract(
        columnsOfPanel(weights, next, end - next),
        columnsOfPanel(allErrors, start - first, count),
        rowsOfPanel(columnsOfPanel(upper, next, end - next), start, count),
      );
    }
    const right = rowsOfPanel(columnsOfPanel(upper, end, columns - end), first, end - first);
    await sweep.products.subtract(columnsOfPanel(weights, end, columns - end), allErrors, right);
    freeMemory(errors);
  }
}

/** Whole groups, as near to 128 columns as they come. */
function blockWidth(group = 1): number {
  return group * Math.max(1, Math.floor(BLOCK_COLUMNS / group));
}

interface Work {
  readonly matrix: SolverMatrix;
  /** Weights that were not 0 before the sweep. */
  readonly present: Mask;
  readonly removal: Removal;
  readonly sweep: Sweep;
}

/** Removes and corrects within one block of columns; returns the errors (w − 0) / U_jj [rows, count] of what it removed. */
function sweepBlock({ matrix, present, removal, sweep }: Work, start: number, count: number): Float64Array {
  const { rows, columns, name } = matrix;
  const weights = columnsOfPanel(wholePanel(matrix.values, rows, columns), start, count);
  const block = packDoubles(weights);
  const size = sweep.dead.length;
  const upper = packDoubles(
    rowsOfPanel(columnsOfPanel(wholePanel(sweep.upper, size, size), start, count), start, count),
  );
  const errors = new Float64Array(rows * count);
  const step = removal.group ?? count;
  for (let from = 0; from < count; from += step) {
    const to = Math.min(from + step, count);
    const scores = new Float32Array(rows * (to - from));
    for (let row = 0, next = 0; row < rows; row += 1) {
      for (let j = from; j < to; j += 1, next += 1) {
        if (!isKept(present, row, start + j)) continue;
        const score = Math.abs(block[row * count + j]!) / upper[j * count + j]!;
        scores[next] = sweep.dead[start + j] === 1 ? score * DEAD_INPUT : score;
      }
    }
    const mask = removal.mask({ name, rows, columns: to - from, values: scores }, start + from);
    for (let row = 0; row < rows; row += 1) {
      for (let j = from; j < to; j += 1) {
        if (isKept(mask, row, j - from) && isKept(present, row, start + j)) continue;
        removeWeight({ block, errors, upper, count }, row, j);
      }
    }
  }
  unpack(block, weights);
  freeMemory(block);
  return errors;
}

interface BlockState {
  readonly block: Float64Array;
  readonly errors: Float64Array;
  readonly upper: Float64Array;
  readonly count: number;
}

/** Sets one weight to 0 and corrects the columns to its right within the block. */
function removeWeight({ block, errors, upper, count }: BlockState, row: number, j: number): void {
  const start = row * count;
  const error = block[start + j]! / upper[j * count + j]!;
  block[start + j] = 0;
  if (error === 0) return;
  errors[start + j] = error;
  for (let k = j + 1; k < count; k += 1) block[start + k]! -= error * upper[j * count + k]!;
}

function emptyLike(values: Reals, length: number): Reals {
  return values instanceof Float32Array ? new Float32Array(length) : new Float64Array(length);
}
