import { type Device, type DoubleMatrix, type DoubleProducts, freeMemory, multiplyOnDevice } from '../tensor/index.js';
import { subtractOnHost } from './host-products.js';
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

/** Products with a piece of the right panel, which is prepared once for all pieces of the left one. */
interface PieceProducts {
  /** In an array of the caller's own. */
  of(left: Panel): Promise<Reals> | Reals;
  /** After the last one. */
  end(): void;
}

type PieceProduct = (right: Panel, transposeRight: boolean) => PieceProducts;

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
      const piece = await times.of(rowsOfPanel(left, row, rows));
      takeAway(columnsOfPanel(rowsOfPanel(target, row, rows), column, columns), piece);
      freeMemory(piece);
    }
    times.end();
  }
}

function singlesOn(device: Device): PieceProduct {
  return (right, transposeRight) => {
    const operand = { values: packSingles(right), rows: right.rows, columns: right.columns };
    return {
      async of(left) {
        const values = packSingles(left);
        const { rows, columns } = left;
        const product = await multiplyOnDevice({ values, rows, columns }, operand, device, { transposeRight });
        freeMemory(values);
        return product;
      },
      end: () => freeMemory(operand.values),
    };
  };
}

function doublesBy(doubles: DoubleProducts): PieceProduct {
  return (right, transposeRight) => {
    const operand = asDoubles(right);
    return {
      of(left) {
        const values = asDoubles(left);
        const product = doubles.multiply(values, operand, { transposeRight });
        freeCopy(values, left);
        return product;
      },
      end: () => freeCopy(operand, right),
    };
  };
}

/** The panel as a matrix without gaps: a view where it has none and is in double precision. */
function asDoubles(panel: Panel): DoubleMatrix {
  const { values, stride, rows, columns } = panel;
  if (!(values instanceof Float64Array) || stride !== columns) return { values: packDoubles(panel), rows, columns };
  const start = rowStart(panel, 0);
  return { values: values.subarray(start, start + rows * columns), rows, columns };
}

function freeCopy({ values }: DoubleMatrix, panel: Panel): void {
  if (values.buffer !== panel.values.buffer) freeMemory(values);
}

function takeAway(target: Panel, product: Reals): void {
  const { values, rows, columns } = target;
  let next = 0;
  for (let row = 0; row < rows; row += 1) {
    const start = rowStart(target, row);
    for (let i = start; i < start + columns; i += 1) values[i]! -= product[next++]!;
  }
}
