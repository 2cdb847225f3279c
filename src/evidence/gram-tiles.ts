import { matMul, slice, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import { type Device, gram } from '../tensor/index.js';

/** Columns of one tile: a product's 16 MiB on the device, and few enough tiles that those on the diagonal waste little. */
export const TILE_COLUMNS = 2048;

/** As `TILE_COLUMNS` where the host computes in its own memory: the same bits in as much time, and a quarter of the room for a product. */
const HOST_TILE_COLUMNS = 1024;

/** Columns of a tile, as suits the device. */
export function tileColumnsOn({ hostMemory }: Device): number {
  return hostMemory === undefined ? TILE_COLUMNS : HOST_TILE_COLUMNS;
}

/** A part of a Gram matrix: it lies on the diagonal or right of it. */
export interface Tile {
  /** First column and count of the tile's rows and of its columns. */
  readonly top: number;
  readonly height: number;
  readonly left: number;
  readonly width: number;
}

/** The tiles on and above the diagonal of a Gram matrix of so many columns. */
export function tilesOf(columns: number, tileColumns = TILE_COLUMNS): Tile[] {
  const tiles: Tile[] = [];
  for (let top = 0; top < columns; top += tileColumns) {
    const height = Math.min(tileColumns, columns - top);
    for (let left = top; left < columns; left += tileColumns) {
      tiles.push({ top, height, left, width: Math.min(tileColumns, columns - left) });
    }
  }
  return tiles;
}

/** Float32 xᵀ · x of some rows of x [n, columns], the part that is the tile's; below the matrix's diagonal it is undefined. */
export function tileProduct(
  values: Tensor2D,
  rows: { readonly start: number; readonly count: number },
  { top, height, left, width }: Tile,
): Tensor2D {
  return tidy(() => {
    const columnsOf = (start: number, count: number) => slice(values, [rows.start, start], [rows.count, count]);
    const right = columnsOf(left, width);
    return top === left ? gram(right) : matMul(columnsOf(top, height), right, true, false);
  });
}

/**
 * Writes a tile's sums on and above the matrix's diagonal to both of their places in `values` [columns, columns]: a product need not
 * come out symmetric to the last bit.
 */
export function mirrorTile(
  { top, height, left, width }: Tile,
  sums: Float64Array | Float32Array,
  { values, columns }: { readonly values: Float32Array; readonly columns: number },
): void {
  for (let i = 0; i < height; i += 1) {
    for (let j = top === left ? i : 0; j < width; j += 1) {
      const sum = sums[i * width + j]!;
      values[(top + i) * columns + left + j] = sum;
      values[(left + j) * columns + top + i] = sum;
    }
  }
}
