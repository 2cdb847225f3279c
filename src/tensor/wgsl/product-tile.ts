/**
 * How a workgroup computes a product: a tile of [rows, columns] of the result at a time, `depth` terms of its sums at a time, by
 * invocations that each keep [threadRows, threadColumns] of it in registers. All sides are multiples of 4.
 *
 * Whatever the tile, each element of the result is the same chain of fused multiply-adds, in order of depth: tiles differ in
 * time, not in a single bit.
 */
export interface ProductTile {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly threadRows: number;
  readonly threadColumns: number;
}

/** By name, largest first. Each reads (rows + columns) / (rows * columns) of an element per multiply-add from memory. */
export const PRODUCT_TILES = {
  '128x128': { rows: 128, columns: 128, depth: 16, threadRows: 8, threadColumns: 8 },
  '128x64': { rows: 128, columns: 64, depth: 16, threadRows: 8, threadColumns: 4 },
  '64x128': { rows: 64, columns: 128, depth: 16, threadRows: 4, threadColumns: 8 },
  '64x64': { rows: 64, columns: 64, depth: 16, threadRows: 4, threadColumns: 4 },
  '64x64 by 8x8': { rows: 64, columns: 64, depth: 16, threadRows: 8, threadColumns: 8 },
  '32x32': { rows: 32, columns: 32, depth: 16, threadRows: 4, threadColumns: 4 },
  '16x64': { rows: 16, columns: 64, depth: 16, threadRows: 4, threadColumns: 4 },
  '4x128': { rows: 4, columns: 128, depth: 16, threadRows: 4, threadColumns: 4 },
} as const satisfies Readonly<Record<string, ProductTile>>;

export type TileName = keyof typeof PRODUCT_TILES;

export function threadsOf({ rows, columns, threadRows, threadColumns }: ProductTile): number {
  return (rows / threadRows) * (columns / threadColumns);
}

/** Bytes of workgroup memory: two buffers of both operands' tiles, each line one vector longer than it must be. */
export function tileBytes({ rows, columns, depth }: ProductTile): number {
  return 2 * depth * 4 * (rows + 4 + columns + 4);
}
