import type { Scheme } from './scheme.js';

/** How a matrix is divided into tiles of one scale each; those at the right and lower edge may be smaller. */
export interface Tiles {
  readonly rows: number;
  readonly columns: number;
  /** Rows and columns of a whole tile. */
  readonly tileRows: number;
  readonly tileColumns: number;
  /** Tiles down and across: the shape of the scales; [0, 0] where the scheme has none. */
  readonly grid: readonly [down: number, across: number];
}

/** The tiles of a matrix of that shape under the scheme. */
export function tilesOf(scheme: Scheme, rows: number, columns: number): Tiles {
  const [tileRows, tileColumns] = tileShape(scheme, rows, columns);
  const hasScales = scheme.bits !== 16;
  const grid = hasScales
    ? ([Math.ceil(rows / tileRows), Math.ceil(columns / tileColumns)] as const)
    : ([0, 0] as const);
  return { rows, columns, tileRows, tileColumns, grid };
}

function tileShape(scheme: Scheme, rows: number, columns: number): readonly [number, number] {
  switch (scheme.strategy) {
    case 'tensor':
      return [Math.max(rows, 1), Math.max(columns, 1)];
    case 'channel':
      return [1, Math.max(columns, 1)];
    case 'group':
      return [1, scheme.groupSize!];
    case 'block':
      return scheme.blockShape!;
  }
}

/**
 * Calls `visit` with the values of each tile in turn, row-major, and its place in the grid. The array is reused: it holds the
 * tile until `visit` returns.
 */
export function forEachTile(
  values: Float32Array,
  tiles: Tiles,
  visit: (tile: Float32Array, index: number, firstColumn: number) => void,
): void {
  const { rows, columns, tileRows, tileColumns } = tiles;
  const scratch = new Float32Array(tileRows === 1 ? 0 : Math.min(tileRows, rows) * Math.min(tileColumns, columns));
  let index = 0;
  for (let top = 0; top < rows; top += tileRows) {
    const bottom = Math.min(top + tileRows, rows);
    for (let left = 0; left < columns; left += tileColumns, index += 1) {
      const width = Math.min(tileColumns, columns - left);
      if (bottom - top === 1) {
        visit(values.subarray(top * columns + left, top * columns + left + width), index, left);
        continue;
      }
      for (let row = top; row < bottom; row += 1) {
        scratch.set(values.subarray(row * columns + left, row * columns + left + width), (row - top) * width);
      }
      visit(scratch.subarray(0, (bottom - top) * width), index, left);
    }
  }
}

/**
 * Calls `visit` for each run of consecutive elements of a row that share a scale, row by row: elements `start` to `end` of the
 * matrix, and the scale's place in the grid. Where the rows are a part of a matrix, `firstRow` is the first one's place in it, and
 * places in the grid are counted from its tile on.
 */
export function forEachRun(
  { rows, columns, tileRows, tileColumns }: Tiles,
  visit: (start: number, end: number, index: number) => void,
  firstRow = 0,
): void {
  const across = Math.ceil(columns / tileColumns);
  const rowsBefore = firstRow % tileRows;
  for (let row = 0; row < rows; row += 1) {
    let index = Math.floor((rowsBefore + row) / tileRows) * across;
    for (let left = 0; left < columns; left += tileColumns, index += 1) {
      visit(row * columns + left, row * columns + Math.min(left + tileColumns, columns), index);
    }
  }
}
