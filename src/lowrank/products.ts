import { type Device, type HostMatrix, multiplyOnDevice } from '../tensor/index.js';

/** Elements of one operand or product that is on the device at a time: 256 MiB of single precision. */
const PIECE_ELEMENTS = 2 ** 26;

interface ProductOptions {
  readonly transposeRight?: boolean;
}

/**
 * left · right, or left · rightᵀ with `transposeRight`, on the device in single precision. Operands that are too large for it
 * go there in pieces; left's are rows, right's are columns of the product.
 */
export async function multiply(
  left: HostMatrix,
  right: HostMatrix,
  device: Device,
  { transposeRight = false }: ProductOptions = {},
): Promise<Float32Array> {
  const columns = transposeRight ? right.rows : right.columns;
  const most = Math.min(PIECE_ELEMENTS, Math.floor(device.maxTensorBytes / 4));
  const inner = left.columns;
  const rowStep = Math.max(1, Math.floor(most / Math.max(inner, columns)));
  const columnStep = Math.max(1, Math.floor(most / Math.max(inner, Math.min(rowStep, left.rows))));
  if (rowStep >= left.rows && columnStep >= columns) return multiplyOnDevice(left, right, device, { transposeRight });
  const product = new Float32Array(left.rows * columns);
  for (let column = 0; column < columns; column += columnStep) {
    const count = Math.min(columnStep, columns - column);
    const operand = transposeRight ? rowsOf(right, column, count) : columnsOf(right, column, count);
    for (let row = 0; row < left.rows; row += rowStep) {
      const rows = Math.min(rowStep, left.rows - row);
      const piece = await multiplyOnDevice(rowsOf(left, row, rows), operand, device, { transposeRight });
      place(piece, { row, column, count }, product, columns);
    }
  }
  return product;
}

/** Σ x² in double precision. */
export function squaredNorm(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) sum += values[i]! ** 2;
  return sum;
}

function rowsOf({ values, columns }: HostMatrix, start: number, rows: number): HostMatrix {
  return { values: values.subarray(start * columns, (start + rows) * columns), rows, columns };
}

function columnsOf({ values, rows, columns }: HostMatrix, start: number, count: number): HostMatrix {
  if (count === columns) return { values, rows, columns };
  const cut = new Float32Array(rows * count);
  for (let row = 0; row < rows; row += 1) {
    cut.set(values.subarray(row * columns + start, row * columns + start + count), row * count);
  }
  return { values: cut, rows, columns: count };
}

function place(
  piece: Float32Array,
  at: { readonly row: number; readonly column: number; readonly count: number },
  product: Float32Array,
  columns: number,
): void {
  for (let from = 0, row = at.row; from < piece.length; from += at.count, row += 1) {
    product.set(piece.subarray(from, from + at.count), row * columns + at.column);
  }
}
