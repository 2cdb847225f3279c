import { type Device, type DoubleMatrix, type DoubleProducts, multiplyOnDevice } from '../tensor/index.js';
import { columnsOfPanel, type Panel, packDoubles, packSingles, type Reals, rowStart, rowsOfPanel } from './panel.js';

/** How the blocked algorithms multiply: the one operation that nearly all of their time goes into. */
export interface MatrixProducts {
  /**
   * target −= left · right, or left · rightᵀ with `transposeRight`. The target must not overlap the others. Pieces are copied
   * a bounded amount at a time.
   */
  subtract(target: Panel, left: Panel, right: Panel, options?: { readonly transposeRight?: boolean }): Promise<void>;
}

/** Below this many multiplications a product in double precision on the host is done before a device has copied its operands. */
const DEVICE_MULTIPLICATIONS = 2 ** 22;

/** The same for the device's own products of doubles, which copy nothing but the pieces: calling it takes as long as so many. */
const DOUBLES_MULTIPLICATIONS = 2 ** 15;

/** Elements of one piece that is sent to the device, or comes back: 64 MiB of single precision. */
const PIECE_ELEMENTS = 2 ** 24;

/** As `PIECE_ELEMENTS`, of doubles: 32 MiB. A piece is in memory beside the matrices. */
const DOUBLE_PIECE_ELEMENTS = 2 ** 22;

/**
 * Products on the host in double precision; given a device, large products between single-precision matrices go there, and
 * all others to its library for doubles, if it has one. The same operands give the same bits on the same device.
 */
export function matrixProducts(device?: Device): MatrixProducts {
  return {
    async subtract(target, left, right, { transposeRight = false } = {}) {
      if (target.rows === 0 || target.columns === 0 || left.columns === 0) return;
      const multiplications = target.rows * target.columns * left.columns;
      const single = target.values instanceof Float32Array && left.values instanceof Float32Array;
      if (device !== undefined && single && multiplications >= DEVICE_MULTIPLICATIONS) {
        const most = Math.min(PIECE_ELEMENTS, Math.floor(device.maxTensorBytes / 4));
        await byPieces({ target, left, right, transposeRight }, most, singlesOn(device));
      } else if (device?.doubles !== undefined && multiplications >= DOUBLES_MULTIPLICATIONS) {
        await byPieces({ target, left, right, transposeRight }, DOUBLE_PIECE_ELEMENTS, doublesBy(device.doubles));
      } else {
        subtractOnHost(target, left, right, transposeRight);
      }
    },
  };
}

interface Subtraction {
  readonly target: Panel;
  readonly left: Panel;
  readonly right: Panel;
  readonly transposeRight: boolean;
}

/** Makes a product of two pieces: the right one is prepared once for all pieces of the left one. */
type PieceProduct = (right: Panel, transposeRight: boolean) => (left: Panel) => Promise<Reals> | Reals;

async function byPieces(
  { target, left, right, transposeRight }: Subtraction,
  pieceElements: number,
  product: PieceProduct,
): Promise<void> {
  const inner = left.columns;
  const columnStep = Math.max(1, Math.floor(pieceElements / inner));
  for (let column = 0; column < target.columns; column += columnStep) {
    const columns = Math.min(columnStep, target.columns - column);
    const times = product(
      transposeRight ? rowsOfPanel(right, column, columns) : columnsOfPanel(right, column, columns),
      transposeRight,
    );
    const rowStep = Math.max(1, Math.floor(pieceElements / Math.max(inner, columns)));
    for (let row = 0; row < target.rows; row += rowStep) {
      const rows = Math.min(rowStep, target.rows - row);
      const piece = await times(rowsOfPanel(left, row, rows));
      takeAway(columnsOfPanel(rowsOfPanel(target, row, rows), column, columns), piece);
    }
  }
}

function singlesOn(device: Device): PieceProduct {
  return (right, transposeRight) => {
    const operand = { values: packSingles(right), rows: right.rows, columns: right.columns };
    return (left) =>
      multiplyOnDevice({ values: packSingles(left), rows: left.rows, columns: left.columns }, operand, device, {
        transposeRight,
      });
  };
}

function doublesBy(doubles: DoubleProducts): PieceProduct {
  return (right, transposeRight) => {
    const operand = asDoubles(right);
    return (left) => doubles.multiply(asDoubles(left), operand, { transposeRight });
  };
}

/** The panel as a matrix without gaps: a view where it has none and is in double precision. */
function asDoubles(panel: Panel): DoubleMatrix {
  const { values, stride, rows, columns } = panel;
  if (!(values instanceof Float64Array) || stride !== columns) return { values: packDoubles(panel), rows, columns };
  const start = rowStart(panel, 0);
  return { values: values.subarray(start, start + rows * columns), rows, columns };
}

function takeAway(target: Panel, product: Reals): void {
  const { values, rows, columns } = target;
  let next = 0;
  for (let row = 0; row < rows; row += 1) {
    const start = rowStart(target, row);
    for (let i = start; i < start + columns; i += 1) values[i]! -= product[next++]!;
  }
}

/** Rows and columns of the product that are summed at once, in registers. */
const TILE = 4;

/** left · right in double precision by tiles of 4 × 4; both operands are laid out so that the inner loop reads in order. */
function subtractOnHost(target: Panel, left: Panel, right: Panel, transposeRight: boolean): void {
  const inner = left.columns;
  const a = tiled(left, false);
  const b = tiled(right, !transposeRight);
  const tileStep = TILE * inner;
  for (let row = 0; row < target.rows; row += TILE) {
    const rows = Math.min(TILE, target.rows - row);
    for (let column = 0; column < target.columns; column += TILE) {
      const columns = Math.min(TILE, target.columns - column);
      const sums = tileProduct(a, (row / TILE) * tileStep, b, (column / TILE) * tileStep, inner);
      for (let i = 0; i < rows; i += 1) {
        const start = rowStart(target, row + i) + column;
        for (let j = 0; j < columns; j += 1) target.values[start + j]! -= sums[i * TILE + j]!;
      }
    }
  }
}

/**
 * Groups of four rows (columns, when `byColumns`), each group's elements interleaved: element k of the four stand together.
 * The last group is filled up with zeros.
 */
function tiled(panel: Panel, byColumns: boolean): Float64Array {
  const packed = packDoubles(panel);
  const [lines, length] = byColumns ? [panel.columns, panel.rows] : [panel.rows, panel.columns];
  const [lineStep, step] = byColumns ? [1, panel.columns] : [panel.columns, 1];
  const tiles = new Float64Array(Math.ceil(lines / TILE) * TILE * length);
  for (let line = 0; line < lines; line += 1) {
    let to = Math.floor(line / TILE) * TILE * length + (line % TILE);
    let from = line * lineStep;
    for (let k = 0; k < length; k += 1, to += TILE, from += step) tiles[to] = packed[from]!;
  }
  return tiles;
}

const sums = new Float64Array(TILE * TILE);

function tileProduct(a: Float64Array, aStart: number, b: Float64Array, bStart: number, inner: number): Float64Array {
  let c00 = 0;
  let c01 = 0;
  let c02 = 0;
  let c03 = 0;
  let c10 = 0;
  let c11 = 0;
  let c12 = 0;
  let c13 = 0;
  let c20 = 0;
  let c21 = 0;
  let c22 = 0;
  let c23 = 0;
  let c30 = 0;
  let c31 = 0;
  let c32 = 0;
  let c33 = 0;
  for (let k = 0, p = aStart, q = bStart; k < inner; k += 1, p += TILE, q += TILE) {
    const a0 = a[p]!;
    const a1 = a[p + 1]!;
    const a2 = a[p + 2]!;
    const a3 = a[p + 3]!;
    const b0 = b[q]!;
    const b1 = b[q + 1]!;
    const b2 = b[q + 2]!;
    const b3 = b[q + 3]!;
    c00 += a0 * b0;
    c01 += a0 * b1;
    c02 += a0 * b2;
    c03 += a0 * b3;
    c10 += a1 * b0;
    c11 += a1 * b1;
    c12 += a1 * b2;
    c13 += a1 * b3;
    c20 += a2 * b0;
    c21 += a2 * b1;
    c22 += a2 * b2;
    c23 += a2 * b3;
    c30 += a3 * b0;
    c31 += a3 * b1;
    c32 += a3 * b2;
    c33 += a3 * b3;
  }
  sums.set([c00, c01, c02, c03, c10, c11, c12, c13, c20, c21, c22, c23, c30, c31, c32, c33]);
  return sums;
}
