import { freeMemory } from '../tensor/index.js';
import {
  columnsOfPanel,
  type Panel,
  packDoubles,
  packSingles,
  type Reals,
  rowsOfPanel,
  unpack,
  wholePanel,
} from './panel.js';
import type { MatrixProducts } from './products.js';

/** Columns that are factored at once in double precision; what is left are products with at least this inner length. */
export const BLOCK_COLUMNS = 256;

/** The lower Cholesky factor of a symmetric positive definite matrix. */
export interface CholeskyFactor {
  readonly size: number;
  /** [size, size]; L in the lower triangle, the matrix as it was above the diagonal. */
  readonly values: Reals;
  /** The inverse of each diagonal block of L, lower triangular, packed; block b covers BLOCK_COLUMNS rows from b · BLOCK_COLUMNS. */
  readonly blockInverses: readonly Float64Array[];
}

/**
 * Factors A = L Lᵀ in place, reading and writing the lower triangle only, block column after block column (left-looking, as
 * LAPACK's potrf). Diagonal blocks are factored in double precision whatever the storage. Undefined when a pivot is not
 * positive or not finite; the lower triangle is then spoilt and the upper one as it was.
 */
export async function cholesky(
  values: Reals,
  size: number,
  products: MatrixProducts,
): Promise<CholeskyFactor | undefined> {
  const whole = wholePanel(values, size, size);
  const blockInverses: Float64Array[] = [];
  for (let start = 0; start < size; start += BLOCK_COLUMNS) {
    const columns = Math.min(BLOCK_COLUMNS, size - start);
    const below = rowsOfPanel(columnsOfPanel(whole, start, columns), start, size - start);
    const before = columnsOfPanel(whole, 0, start);
    const diagonalBefore = rowsOfPanel(before, start, columns);
    await subtractLower(below, rowsOfPanel(before, start, size - start), diagonalBefore, products);
    const diagonal = rowsOfPanel(below, 0, columns);
    const block = packDoubles(diagonal);
    if (!factorBlock(block, columns)) return undefined;
    unpackLower(block, diagonal);
    const inverse = invertLowerBlock(block, columns);
    blockInverses.push(inverse);
    await multiplyFromRight(rowsOfPanel(below, columns, below.rows - columns), inverse, products);
  }
  return { size, values, blockInverses };
}

/** target −= left · rightᵀ, without touching what lies above the diagonal of the target's square top. */
async function subtractLower(target: Panel, left: Panel, right: Panel, products: MatrixProducts): Promise<void> {
  const { columns } = target;
  const top = rowsOfPanel(target, 0, columns);
  const square = top.values instanceof Float32Array ? packSingles(top) : packDoubles(top);
  const corner = wholePanel(square, columns, columns);
  await products.subtract(corner, rowsOfPanel(left, 0, columns), right, { transposeRight: true });
  unpackLower(square, top);
  freeMemory(square);
  const rest = target.rows - columns;
  await products.subtract(rowsOfPanel(target, columns, rest), rowsOfPanel(left, columns, rest), right, {
    transposeRight: true,
  });
}

/** panel ← panel · inverseᵀ, by products: the panel below a diagonal block solved against it. */
async function multiplyFromRight(panel: Panel, inverse: Float64Array, products: MatrixProducts): Promise<void> {
  const { rows, columns, values } = panel;
  if (rows === 0) return;
  const single = values instanceof Float32Array;
  const negated = single ? new Float32Array(inverse.length) : new Float64Array(inverse.length);
  for (let i = 0; i < inverse.length; i += 1) negated[i] = -inverse[i]!;
  const solved = single ? new Float32Array(rows * columns) : new Float64Array(rows * columns);
  const operand = wholePanel(negated, columns, columns);
  await products.subtract(wholePanel(solved, rows, columns), panel, operand, { transposeRight: true });
  unpack(solved, panel);
  freeMemory(solved);
}

function unpackLower(block: Reals, panel: Panel): void {
  const { values, stride, row, column, columns } = panel;
  for (let i = 0; i < columns; i += 1) {
    values.set(block.subarray(i * columns, i * columns + i + 1), (row + i) * stride + column);
  }
}

/** The plain algorithm on one packed block, row by row; its lower triangle becomes the factor. */
function factorBlock(block: Float64Array, size: number): boolean {
  for (let i = 0; i < size; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let sum = block[i * size + j]!;
      for (let k = 0, p = i * size, q = j * size; k < j; k += 1) sum -= block[p + k]! * block[q + k]!;
      if (i === j) {
        if (!(sum > 0) || sum === Number.POSITIVE_INFINITY) return false;
        block[i * size + i] = Math.sqrt(sum);
      } else {
        block[i * size + j] = sum / block[j * size + j]!;
      }
    }
  }
  return true;
}

/** The inverse of a packed lower triangle; zeros above its diagonal. */
export function invertLowerBlock(block: Float64Array, size: number): Float64Array {
  const inverse = new Float64Array(size * size);
  for (let i = 0; i < size; i += 1) {
    const row = i * size;
    const scale = 1 / block[row + i]!;
    for (let k = 0; k < i; k += 1) {
      const factor = block[row + k]!;
      for (let j = 0; j <= k; j += 1) inverse[row + j]! -= factor * inverse[k * size + j]!;
    }
    for (let j = 0; j < i; j += 1) inverse[row + j]! *= scale;
    inverse[row + i] = scale;
  }
  return inverse;
}
