import { clone, keep, matMul, slice, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import { type Device, gram, showValues } from '../tensor/index.js';
import type { Gram } from './block-evidence.js';
import { type Collector, summedRanges } from './collector.js';

/** Columns of one tile: a product's 16 MiB on the device, and few enough tiles that those on the diagonal waste little. */
const TILE_COLUMNS = 2048;

interface Tile {
  /** First column and count of the tile's rows and of its columns; a tile lies on the diagonal or right of it. */
  readonly top: number;
  readonly height: number;
  readonly left: number;
  readonly width: number;
  readonly sums: Float64Array;
}

/**
 * Σ x xᵀ over all tokens. Float32 products of at most `SUMMED_ROWS` tokens are made on the device, tile by tile on and above
 * the diagonal, and added up in float64: half a matrix of 8-byte sums takes what the whole float32 result takes.
 */
export function gramCollector(columns: number, device: Device, tileColumns = TILE_COLUMNS): Collector {
  const tiles = tilesOf(columns, tileColumns);
  let pending: Tensor2D[] = [];
  let tokens = 0;
  const drop = () => {
    for (const values of pending) values.dispose();
    pending = [];
  };
  return {
    observe(values) {
      tokens += values.shape[0];
      pending.push(keep(clone(values)));
    },
    async settle() {
      try {
        for (const values of pending) await addProducts(tiles, values, device);
      } finally {
        drop();
      }
    },
    drop,
    finish: () => ({ gram: gramOf(tiles, columns, tokens) }),
  };
}

function tilesOf(columns: number, tileColumns: number): Tile[] {
  const tiles: Tile[] = [];
  for (let top = 0; top < columns; top += tileColumns) {
    const height = Math.min(tileColumns, columns - top);
    for (let left = top; left < columns; left += tileColumns) {
      const width = Math.min(tileColumns, columns - left);
      tiles.push({ top, height, left, width, sums: new Float64Array(height * width) });
    }
  }
  return tiles;
}

async function addProducts(tiles: readonly Tile[], values: Tensor2D, device: Device): Promise<void> {
  for (const rows of summedRanges(values.shape[0])) {
    for (const { top, height, left, width, sums } of tiles) {
      const product = tidy(() => {
        const columnsOf = (start: number, count: number) => slice(values, [rows.start, start], [rows.count, count]);
        const right = columnsOf(left, width);
        return top === left ? gram(right) : matMul(columnsOf(top, height), right, true, false);
      });
      try {
        await showValues(product, device, (found) => {
          for (let i = 0; i < sums.length; i += 1) sums[i]! += found[i]!;
        });
      } finally {
        product.dispose();
      }
    }
  }
}

/** Empties `tiles` as it goes, so that sums and result are not both whole at once. */
function gramOf(tiles: Tile[], columns: number, tokens: number): Gram {
  const values = new Float32Array(columns * columns);
  for (let tile = tiles.pop(); tile !== undefined; tile = tiles.pop()) mirror(tile, values, columns);
  return { values, columns, tokens };
}

/** Writes what is on or above the diagonal to both of its places: a product need not come out symmetric to the last bit. */
function mirror({ top, height, left, width, sums }: Tile, values: Float32Array, columns: number): void {
  for (let i = 0; i < height; i += 1) {
    for (let j = top === left ? i : 0; j < width; j += 1) {
      const sum = sums[i * width + j]!;
      values[(top + i) * columns + left + j] = sum;
      values[(left + j) * columns + top + i] = sum;
    }
  }
}
