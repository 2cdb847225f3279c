import { matrixProducts, symmetricEigen, wholePanel } from '../solvers/index.js';
import type { Device } from '../tensor/index.js';
import type { Directions } from './directions.js';
import type { Shape } from './factors.js';
import type { InputRoot } from './input-root.js';
import { orthonormalRows } from './orthonormal.js';

/**
 * All directions of W L (or of W): the eigenvectors of the smaller of its two Gram matrices, in double precision. An energy σ²
 * is right to some 10⁻¹⁵ of the largest, σ itself to 10⁻⁸ of it (docs/lowrank.md): what single precision knows of the weights
 * is no more. One-sided Jacobi would find the small σ to their own last digit, in twenty times the time.
 */
export async function exactDirections(
  values: Float32Array,
  shape: Shape,
  root: InputRoot | undefined,
  device: Device,
): Promise<Directions> {
  const { rows, columns } = shape;
  const whitened = await timesRoot(values, shape, root, device);
  const byColumns = columns < rows;
  const [count, length] = byColumns ? [columns, rows] : [rows, columns];
  const short = byColumns ? turned(whitened, rows, columns) : whitened;
  const { energies, vectors } = descending(await squareOf(short, count, length, device), count, device);
  return {
    energies,
    total: energies.reduce((sum, energy) => sum + energy, 0),
    algorithm: 'exact',
    async take(rank) {
      const first = vectors.subarray(0, rank * count);
      if (!byColumns) return new Float32Array(first);
      const outputs = new Float32Array(await product(first, rank, short, { inner: count, columns: length, device }));
      await orthonormalRows(outputs, rank, length, device);
      return outputs;
    },
  };
}

/** W L [rows, columns] in double precision. */
async function timesRoot(
  values: Float32Array,
  { rows, columns }: Shape,
  root: InputRoot | undefined,
  device: Device,
): Promise<Float64Array> {
  if (root === undefined) return new Float64Array(values);
  return product(new Float64Array(values), rows, new Float64Array(root.values), { inner: columns, columns, device });
}

/** S Sᵀ of S [count, length]. */
async function squareOf(short: Float64Array, count: number, length: number, device: Device): Promise<Float64Array> {
  const negative = new Float64Array(count * count);
  const panel = wholePanel(short, count, length);
  await matrixProducts(device).subtract(wholePanel(negative, count, count), panel, panel, { transposeRight: true });
  return negative.map((value) => -value);
}

/** left [rows, inner] · right [inner, columns] */
async function product(
  left: Float64Array,
  rows: number,
  right: Float64Array,
  { inner, columns, device }: { readonly inner: number; readonly columns: number; readonly device: Device },
): Promise<Float64Array> {
  const negative = new Float64Array(rows * columns);
  const operand = wholePanel(right, inner, columns);
  await matrixProducts(device).subtract(wholePanel(negative, rows, columns), wholePanel(left, rows, inner), operand);
  return negative.map((value) => -value);
}

/** Eigenvalues from the largest on, none below 0, and their vectors as rows. */
export function descending(
  matrix: Float64Array,
  size: number,
  device: Device,
): { energies: Float64Array; vectors: Float64Array } {
  const { values, vectors } = symmetricEigen(matrix, size, device);
  const energies = Float64Array.from(values, (value) => Math.max(0, value)).reverse();
  const reversed = new Float64Array(size * size);
  for (let i = 0; i < size; i += 1) {
    reversed.set(vectors.subarray((size - 1 - i) * size, (size - i) * size), i * size);
  }
  return { energies, vectors: reversed };
}

function turned(values: Float64Array, rows: number, columns: number): Float64Array {
  const result = new Float64Array(values.length);
  for (let row = 0, from = 0; row < rows; row += 1) {
    for (let column = 0, to = row; column < columns; column += 1, to += rows) result[to] = values[from++]!;
  }
  return result;
}
