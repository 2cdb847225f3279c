import { clone, keep, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import { type Device, freeMemory, RunningSums, showValues } from '../tensor/index.js';
import type { Gram } from './block-evidence.js';
import { type Collector, summedRanges } from './collector.js';
import { mirrorTile, TILE_COLUMNS, type Tile, tileColumnsOn, tileProduct, tilesOf } from './gram-tiles.js';

/**
 * Σ x xᵀ over all tokens. Float32 products of at most `SUMMED_ROWS` tokens are made on the device, tile by tile on and above
 * the diagonal, and added up there in two floats where it has room for them, else on the host in float64. Either way an element is off by
 * what a float32 product of `SUMMED_ROWS` tokens is off by (docs/evidence.md), however many tokens there are.
 */
export function gramCollector(columns: number, device: Device, tileColumns = tileColumnsOn(device)): Collector {
  const tiles = tilesOf(columns, tileColumns);
  const sums = RunningSums.open(tiles.map(sizeOf), device);
  return sums === undefined ? summedOnHost(tiles, columns, device) : summedOnDevice(tiles, columns, sums);
}

const sizeOf = ({ height, width }: Tile) => height * width;

/**
 * Bytes that a device with room for them takes for the Gram matrix of so many columns: `kept` for its sums, and `adding` for a moment,
 * as a tile's product is added to them: the product, and the tile's sums anew.
 */
export function gramSumBytes(columns: number): { readonly kept: number; readonly adding: number } {
  const tile = Math.min(columns, TILE_COLUMNS) ** 2;
  return { kept: RunningSums.bytesOf(tilesOf(columns).map(sizeOf)), adding: 4 * tile + RunningSums.bytesOf([tile]) };
}

function summedOnDevice(tiles: readonly Tile[], columns: number, sums: RunningSums): Collector {
  let tokens = 0;
  return {
    observe(values) {
      tokens += values.shape[0];
      for (const rows of summedRanges(values.shape[0])) {
        for (const [i, tile] of tiles.entries()) tidy(() => sums.add(i, tileProduct(values, rows, tile)));
      }
    },
    settle: () => sums.settle(),
    async finish() {
      const gram: Gram = { values: new Float32Array(columns * columns), columns, tokens };
      for (const [i, tile] of tiles.entries()) {
        const total = await sums.take(i);
        if (total !== undefined) mirrorTile(tile, total, gram);
      }
      return { gram };
    },
    drop: () => sums.drop(),
  };
}

interface HostTile extends Tile {
  readonly sums: Float64Array;
}

/** In float64: half a matrix of 8-byte sums takes what the whole float32 result takes. */
function summedOnHost(tiles: readonly Tile[], columns: number, device: Device): Collector {
  const summed = tiles.map((tile): HostTile => ({ ...tile, sums: new Float64Array(sizeOf(tile)) }));
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
        for (const values of pending) await addProducts(summed, values, device);
      } finally {
        drop();
      }
    },
    finish: async () => ({ gram: gramOf(summed, columns, tokens) }),
    drop,
  };
}

async function addProducts(tiles: readonly HostTile[], values: Tensor2D, device: Device): Promise<void> {
  for (const rows of summedRanges(values.shape[0])) {
    for (const { sums, ...tile } of tiles) {
      const product = tileProduct(values, rows, tile);
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
function gramOf(tiles: HostTile[], columns: number, tokens: number): Gram {
  const values = new Float32Array(columns * columns);
  for (let tile = tiles.pop(); tile !== undefined; tile = tiles.pop()) {
    mirrorTile(tile, tile.sums, { values, columns });
    freeMemory(tile.sums);
  }
  return { values, columns, tokens };
}
