import type { TensorInfo } from '@tensorflow/tfjs-core';
import { foldWorkgroups, type Gpu, type ProductShape, type Trial } from './kernel.js';
import { type Operand, operandKey } from './operand.js';
import { PRODUCT_TILES, type TileName, threadsOf, tileBytes } from './product-tile.js';
import { type TiledProduct, tiledProduct } from './tiled-product.js';

/** One operand: a tensor, and how it lies in memory. */
export interface Side {
  readonly tensor: TensorInfo;
  readonly order: Operand['order'];
  readonly format: Operand['format'];
  /** Elements from one of a batch to the next; 0 where all share one. */
  readonly step: number;
}

export interface Product {
  readonly left: Side;
  readonly right: Side;
  readonly shape: ProductShape;
  /** What the result's dimensions are. */
  readonly result: readonly number[];
  readonly triangle?: TiledProduct['triangle'];
}

/** left · right in f32 (tiled-product.ts), by the tile that the GPU's policy chooses for the shape. */
export function multiply(gpu: Gpu, product: Product): TensorInfo {
  const { left, right, shape, triangle } = product;
  const operands = [operandOf(left, shape.m, shape.k), operandOf(right, shape.n, shape.k)];
  const kernel = `product ${operands.map(operandKey).join(' ')} ${triangle ?? ''}`;
  const candidates = tilesFor(shape, gpu).filter((name) => triangle === undefined || isSquare(name));
  const trial: Trial = (tile, sides) => tryTile(gpu, product, sides, tile as TileName);
  return multiplyBy(gpu, product, gpu.tiles.choose(kernel, shape, candidates, trial) as TileName);
}

function multiplyBy(gpu: Gpu, { left, right, shape, result, triangle }: Product, name: TileName): TensorInfo {
  const product = {
    left: operandOf(left, shape.m, shape.k),
    right: operandOf(right, shape.n, shape.k),
    alignedResult: shape.n % 4 === 0,
    rolled: gpu.software,
    ...(triangle && { triangle }),
  };
  const tile = PRODUCT_TILES[name];
  const { m, n, k, batch } = shape;
  const [down, across] = [Math.ceil(m / tile.rows), Math.ceil(n / tile.columns)];
  const tiles = triangle === undefined ? down * across : (across * (across + 1)) / 2;
  const [x, y] = foldWorkgroups(tiles, gpu.limits);
  const c = gpu.create(result);
  gpu.run(tiledProduct({ ...product, tile }), {
    inputs: { a: left.tensor, b: right.tensor },
    outputs: { c },
    uniforms: { m, n, k, a_step: left.step, b_step: right.step, tiles, depth: tile.depth },
    workgroups: [x, y, batch],
  });
  return c;
}

/** The same product of other sides, for which operands in the same order and format are made. */
function tryTile(gpu: Gpu, { left, right, triangle }: Product, shape: ProductShape, tile: TileName): void {
  const { m, n, k } = shape;
  const like = ({ order, format }: Side, lines: number): Side => {
    const sides = order === 'line-by-line' ? [lines, format === 'f32' ? k : k / 2] : [k, lines];
    return { tensor: gpu.create(sides, format === 'f32' ? 'float32' : 'int32'), order, format, step: 0 };
  };
  const [a, b] = [like(left, m), like(right, n)];
  const result = multiplyBy(gpu, { left: a, right: b, shape, result: [m, n], ...(triangle && { triangle }) }, tile);
  for (const tensor of [a.tensor, b.tensor, result]) gpu.release(tensor);
}

function operandOf({ order, format }: Side, lines: number, depth: number): Operand {
  const contiguous = order === 'line-by-line' ? depth : lines;
  const aligned = format === 'f32' ? contiguous % 4 === 0 : Math.ceil(depth / 2) % 2 === 0;
  return { order, format, aligned };
}

const isSquare = (name: TileName) => PRODUCT_TILES[name].rows === PRODUCT_TILES[name].columns;

/**
 * The tiles that this GPU has room for, the likeliest to be fast first: a guess from how much each computes beyond the result's
 * edges, how often it reads the operands, and whether it leaves processors idle. What decides where nothing was measured.
 */
export function tilesFor(shape: ProductShape, { limits }: Pick<Gpu, 'limits'>): TileName[] {
  const names = (Object.keys(PRODUCT_TILES) as TileName[]).filter((name) => {
    const tile = PRODUCT_TILES[name];
    return (
      tileBytes(tile) <= limits.maxComputeWorkgroupStorageSize &&
      threadsOf(tile) <= Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX)
    );
  });
  const costs = new Map(names.map((name) => [name, costOf(name, shape)]));
  return names.sort((a, b) => costs.get(a)! - costs.get(b)!);
}

/** Workgroups that a GPU of many processors needs to be busy. */
const BUSY_WORKGROUPS = 128;
/** Multiply-adds that take as long as reading one element, about. */
const READ_COST = 16;

function costOf(name: TileName, { m, n, batch }: ProductShape): number {
  const { rows, columns, threadRows, threadColumns } = PRODUCT_TILES[name];
  const tiles = Math.ceil(m / rows) * Math.ceil(n / columns) * batch;
  const shared = 1 / threadRows + 1 / threadColumns;
  const computed = Math.max(tiles, BUSY_WORKGROUPS) * rows * columns * (1 + shared);
  return computed + READ_COST * tiles * (rows + columns);
}
