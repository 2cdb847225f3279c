import { freeMemory } from '../tensor/index.js';
import { BLOCK_COLUMNS, type CholeskyFactor } from './cholesky.js';
import { columnsOfPanel, type Panel, type Reals, rowsOfPanel, unpack, wholePanel } from './panel.js';
import type { MatrixProducts } from './products.js';

/** Rows of the inverse that one product makes: strips skip the zeros above the diagonal, as far as they are high. */
const STRIP_ROWS = 1024;

/**
 * Solves X · L Lᵀ = B for X in place of B [n, size]: rows of B are right-hand sides. First Y Lᵀ = B forwards, then X L = Y
 * backwards, block column by block column.
 */
export async function solveFromRight(
  factor: CholeskyFactor,
  b: { readonly values: Reals; readonly rows: number },
  products: MatrixProducts,
): Promise<void> {
  const { size, values } = factor;
  const lower = wholePanel(values, size, size);
  const sides = wholePanel(b.values, b.rows, size);
  const starts = blockStarts(size);
  for (const start of starts) {
    const block = columnsOfPanel(sides, start, widthAt(start, size));
    const rowOfFactor = rowsOfPanel(columnsOfPanel(lower, 0, start), start, block.columns);
    await products.subtract(block, columnsOfPanel(sides, 0, start), rowOfFactor, { transposeRight: true });
    await multiplyBlock(block, factor, { start, transposed: true }, products);
  }
  for (const start of starts.reverse()) {
    const block = columnsOfPanel(sides, start, widthAt(start, size));
    const end = start + block.columns;
    const below = rowsOfPanel(columnsOfPanel(lower, start, block.columns), end, size - end);
    await products.subtract(block, columnsOfPanel(sides, end, size - end), below);
    await multiplyBlock(block, factor, { start, transposed: false }, products);
  }
}

/** block ← block · D, or block · Dᵀ, where D is the inverse of the factor's diagonal block at `start`. */
async function multiplyBlock(
  block: Panel,
  factor: CholeskyFactor,
  { start, transposed }: { readonly start: number; readonly transposed: boolean },
  products: MatrixProducts,
): Promise<void> {
  const { rows, columns } = block;
  const inverse = negatedLike(block.values, factor.blockInverses[start / BLOCK_COLUMNS]!);
  const solved = emptyLike(block.values, rows * columns);
  const operand = wholePanel(inverse, columns, columns);
  await products.subtract(wholePanel(solved, rows, columns), block, operand, { transposeRight: transposed });
  unpack(solved, block);
  freeMemory(solved);
}

/**
 * Replaces the factor's values by L⁻¹, with zeros above the diagonal: block columns from the last to the first,
 * X_j = −X_below · L_j · L_jj⁻¹ (LAPACK's trtri). The factor is spent.
 */
export async function invertLower(factor: CholeskyFactor, products: MatrixProducts): Promise<Reals> {
  const { size, values } = factor;
  zeroAboveDiagonal(values, size);
  const whole = wholePanel(values, size, size);
  for (const start of blockStarts(size).reverse()) {
    const columns = widthAt(start, size);
    const inverse = factor.blockInverses[start / BLOCK_COLUMNS]!;
    const end = start + columns;
    const below = rowsOfPanel(columnsOfPanel(whole, start, columns), end, size - end);
    await invertColumn(below, { whole, end, inverse }, products);
    unpack(inverse, rowsOfPanel(columnsOfPanel(whole, start, columns), start, columns));
  }
  return values;
}

async function invertColumn(
  below: Panel,
  { whole, end, inverse }: { readonly whole: Panel; readonly end: number; readonly inverse: Float64Array },
  products: MatrixProducts,
): Promise<void> {
  const { rows, columns, values } = below;
  // L_j · L_jj⁻¹, negated, then X_below times that: both into fresh room, as products may not overlap their target.
  const scaled = emptyLike(values, rows * columns);
  const scaledPanel = wholePanel(scaled, rows, columns);
  await products.subtract(scaledPanel, below, wholePanel(copyLike(values, inverse), columns, columns));
  for (let i = 0; i < scaled.length; i += 1) scaled[i] = -scaled[i]!;
  const solved = emptyLike(values, rows * columns);
  for (let row = 0; row < rows; row += STRIP_ROWS) {
    const count = Math.min(STRIP_ROWS, rows - row);
    const left = rowsOfPanel(columnsOfPanel(whole, end, row + count), end + row, count);
    const strip = rowsOfPanel(wholePanel(solved, rows, columns), row, count);
    await products.subtract(strip, left, rowsOfPanel(scaledPanel, 0, row + count));
  }
  unpack(solved, below);
  for (const used of [scaled, solved]) freeMemory(used);
}

function zeroAboveDiagonal(values: Reals, size: number): void {
  for (let row = 0; row < size; row += 1) values.fill(0, row * size + row + 1, (row + 1) * size);
}

function blockStarts(size: number): number[] {
  return Array.from({ length: Math.ceil(size / BLOCK_COLUMNS) }, (_, block) => block * BLOCK_COLUMNS);
}

function widthAt(start: number, size: number): number {
  return Math.min(BLOCK_COLUMNS, size - start);
}

function emptyLike(values: Reals, length: number): Reals {
  return values instanceof Float32Array ? new Float32Array(length) : new Float64Array(length);
}

function copyLike(values: Reals, source: Float64Array): Reals {
  return values instanceof Float32Array ? new Float32Array(source) : source;
}

function negatedLike(values: Reals, source: Float64Array): Reals {
  const copy = emptyLike(values, source.length);
  for (let i = 0; i < source.length; i += 1) copy[i] = -source[i]!;
  return copy;
}
