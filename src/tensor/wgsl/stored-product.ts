import type { TensorInfo } from '@tensorflow/tfjs-core';
import { foldWorkgroups, type Gpu, type KernelCall, type Trial, type WgslKernel } from './kernel.js';
import { scalesOf } from './line-scales.js';
import { multiply } from './multiply.js';
import type { Operand } from './operand.js';
import { unitProduct } from './unit-product.js';
import { UNIT_TILES, type UnitTileName, unitTilesFor } from './unit-tile.js';

/**
 * `multiplyStored` (ops/stored-product.ts): x [n, in] · Wᵀ with W of 16-bit floats, widened as they are read: W travels and stays at
 * 2 bytes an element. On matrix units where the GPU has them, else in f32.
 */
export const storedProductKernel: WgslKernel = {
  operation: 'birdbone.StoredProduct',
  run(call, gpu) {
    const { x, words, format, columns, terms } = operandsOf(call);
    const shape = { batch: 1, m: x.shape[0]!, n: words.shape[0]!, k: columns };
    const tiles = unitTilesFor(shape, gpu, terms);
    // Subgroups whose size is not known beforehand cannot be dealt out; 1 to 15 tokens would leave the units mostly idle.
    if (tiles.length > 0 && gpu.subgroup?.least === gpu.subgroup?.most && shape.m >= LEAST_ROWS) {
      return onUnits(gpu, call, tiles);
    }
    return multiply(gpu, {
      left: { tensor: x, order: 'line-by-line', format: 'f32', step: 0 },
      right: { tensor: words, order: 'line-by-line', format, step: 0 },
      shape,
      result: [shape.m, shape.n],
    });
  },
};

const LEAST_ROWS = 16;

function onUnits(gpu: Gpu, call: KernelCall, tiles: readonly UnitTileName[]): TensorInfo {
  const operands = operandsOf(call);
  const { x, words, format, columns, terms } = operands;
  const shape = { batch: 1, m: x.shape[0]!, n: words.shape[0]!, k: columns };
  const trial: Trial = (tile, { m, n, k }) => {
    const made = { x: gpu.create([m, k]), words: gpu.create([n, k / 2], 'int32') };
    const result = byUnits(gpu, { ...operands, ...made, columns: k }, tile as UnitTileName);
    for (const tensor of [made.x, made.words, result]) gpu.release(tensor);
  };
  const tile = gpu.tiles.choose(`units ${format} ${terms}`, shape, tiles, trial);
  return byUnits(gpu, operands, tile as UnitTileName);
}

function byUnits(gpu: Gpu, { x, words, format, columns: k, terms }: Operands, name: UnitTileName): TensorInfo {
  const [m, n] = [x.shape[0]!, words.shape[0]!];
  const left: Operand = { order: 'line-by-line', format: 'f32', aligned: k % 4 === 0 };
  const right: Operand = { order: 'line-by-line', format, aligned: Math.ceil(k / 2) % 2 === 0 };
  const tile = UNIT_TILES[name];
  const scales = {
    a_scales: scalesOf(gpu, x, left, { lines: m, depth: k }),
    ...(format === 'bf16' && { b_scales: scalesOf(gpu, words, right, { lines: n, depth: k }) }),
  };
  const c = gpu.create([m, n]);
  const count = Math.ceil(m / tile.rows) * Math.ceil(n / tile.columns);
  gpu.run(unitProduct({ unit: gpu.matrixUnit!, lanes: gpu.subgroup!.most, tile, left, right, terms }), {
    inputs: { a: x, b: words, ...scales },
    outputs: { c },
    uniforms: { m, n, k, tiles: count },
    workgroups: foldWorkgroups(count, gpu.limits),
  });
  for (const scale of Object.values(scales)) gpu.release(scale);
  return c;
}

interface Operands {
  readonly x: TensorInfo;
  readonly words: TensorInfo;
  readonly format: 'bf16' | 'f16';
  readonly columns: number;
  readonly terms: 1 | 2;
}

function operandsOf({ inputs, attributes }: KernelCall): Operands {
  const { x, words } = inputs as { x: TensorInfo; words: TensorInfo };
  const { format, columns, terms } = attributes as { format: 'bf16' | 'f16'; columns: number; terms: 1 | 2 };
  return { x, words, format, columns, terms };
}
