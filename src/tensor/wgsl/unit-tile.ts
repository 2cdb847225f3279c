import type { Gpu, MatrixUnit, ProductShape } from './kernel.js';

/**
 * How a workgroup computes a product on matrix units: a tile of [rows, columns], `depth` terms at a time, by `down` x `across`
 * subgroups that each keep their share of it in matrices. Whatever the tile, each element of the result is the same chain of sums.
 */
export interface UnitTile {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly down: number;
  readonly across: number;
}

export const UNIT_TILES = {
  '128x128': { rows: 128, columns: 128, depth: 16, down: 2, across: 4 },
  '64x128': { rows: 64, columns: 128, depth: 32, down: 2, across: 4 },
  '128x64': { rows: 128, columns: 64, depth: 16, down: 4, across: 2 },
  '64x64': { rows: 64, columns: 64, depth: 32, down: 2, across: 2 },
  '32x64': { rows: 32, columns: 64, depth: 16, down: 1, across: 2 },
} as const satisfies Readonly<Record<string, UnitTile>>;

export type UnitTileName = keyof typeof UNIT_TILES;

export const unitThreads = ({ down, across }: UnitTile, lanes: number): number => down * across * lanes;

/** Bytes of workgroup memory: two buffers of f16 tiles with 8 elements of padding a line, and a matrix of f32 a subgroup. */
export function unitTileBytes(
  { rows, columns, depth, down, across }: UnitTile,
  unit: MatrixUnit,
  terms: number,
): number {
  return 2 * 2 * (terms * rows + columns) * (depth + 8) + 4 * down * across * unit.m * unit.n;
}

/** The tiles that this GPU has room for, the one that computes least beyond the result's edges first, of equals the largest. */
export function unitTilesFor(
  { m, n }: ProductShape,
  { limits, matrixUnit: unit, subgroup }: Pick<Gpu, 'limits' | 'matrixUnit' | 'subgroup'>,
  terms: 1 | 2,
): UnitTileName[] {
  if (unit === undefined || subgroup === undefined) return [];
  const computed = ({ rows, columns }: UnitTile) => Math.ceil(m / rows) * rows * Math.ceil(n / columns) * columns;
  const names = (Object.keys(UNIT_TILES) as UnitTileName[]).filter((name) => {
    const tile = UNIT_TILES[name];
    return (
      unitTileBytes(tile, unit, terms) <= limits.maxComputeWorkgroupStorageSize &&
      unitThreads(tile, subgroup.most) <= limits.maxComputeInvocationsPerWorkgroup &&
      (tile.rows / tile.down) % unit.m === 0 &&
      (tile.columns / tile.across) % unit.n === 0 &&
      tile.depth % unit.k === 0
    );
  });
  return names.sort((a, b) => computed(UNIT_TILES[a]) - computed(UNIT_TILES[b]));
}
