import type { DoubleMatrix, DoubleProducts } from '../tensor/index.js';
import { type Panel, packDoubles, rowStart, wholePanel } from './panel.js';

/** Rows and columns of the product that are summed at once, in registers. */
const TILE = 4;

/**
 * target −= left · right (right as its transpose where asked), in double precision by tiles of 4 × 4; both operands are laid out
 * so that the inner loop reads in order. About 2 GFLOP/s.
 */
export function subtractOnHost(target: Panel, left: Panel, right: Panel, transposeRight: boolean): void {
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

/** Products of doubles by the loops above, for devices without a library for them. */
export const doublesOnHost: DoubleProducts = {
  multiply(left, right, { transposeLeft = false, transposeRight = false } = {}) {
    const a = transposeLeft ? turned(left) : left;
    const columns = transposeRight ? right.rows : right.columns;
    const product = new Float64Array(a.rows * columns);
    const target = wholePanel(product, a.rows, columns);
    subtractOnHost(target, panelOf(a), panelOf(right), transposeRight);
    for (let i = 0; i < product.length; i += 1) product[i] = -product[i]!;
    return product;
  },
};

function panelOf({ values, rows, columns }: DoubleMatrix): Panel {
  return wholePanel(values, rows, columns);
}

function turned({ values, rows, columns }: DoubleMatrix): DoubleMatrix {
  const result = new Float64Array(values.length);
  for (let row = 0, from = 0; row < rows; row += 1) {
    for (let to = row; to < values.length; to += rows) result[to] = values[from++]!;
  }
  return { values: result, rows: columns, columns: rows };
}
