import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { demandsOf } from '../../src/benchmarking/demands.js';
import { type Checkpoint, memoryLayer, openCheckpoint, overlay } from '../../src/checkpoint/index.js';
import { type Model, openModel, withCheckpoint } from '../../src/model/index.js';
import { TINY_LLAMA, tinyModel, writeTinyModel } from '../reference/tiny-model.js';

const CONTEXT = 10;
/** By hand: two blocks of q, o [32, 32], k, v [16, 32], gate, up [44, 32], down [32, 44], and a head [61, 32]. */
const MULTIPLIED = 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 44 * 32) + 61 * 32;

let folder: string;
let stored: Checkpoint;
let model: Model;
beforeAll(async () => {
  folder = writeTinyModel(tinyModel(TINY_LLAMA));
  stored = await openCheckpoint(folder);
  model = await openModel(folder);
});
afterAll(async () => {
  await stored.close();
  await model.checkpoint.close();
  rmSync(folder, { recursive: true });
});

describe('what a token takes', () => {
  test('of a dense model in F32 follows from its shapes', async () => {
    expect(await demandsOf(model, { stored, context: CONTEXT })).toEqual({
      productOperations: 2 * MULTIPLIED,
      // Scores and sums of values, of two blocks with four heads of eight.
      attentionOperations: 2 * 2 * (2 * 4 * 8 * CONTEXT),
      zeroOperations: 0,
      weightBytes: 4 * MULTIPLIED,
      // Keys and values of two heads of eight, two bytes each.
      cacheBytes: 2 * 2 * 2 * 8 * 2 * CONTEXT,
    });
  });

  test('counts the zeros that a mask leaves, and operations by them all the same', async () => {
    const name = 'model.layers.0.mlp.gate_proj.weight';
    const pruned = 44 * 16;
    const kept = Uint8Array.from({ length: (44 * 32) / 8 }, (_, byte) => (byte % 4 < 2 ? 0xff : 0));
    const layer = memoryLayer(new Map([[name, kept]]));
    const masked = withCheckpoint(model, await overlay(model.checkpoint, [layer]));
    const demands = await demandsOf(masked, { stored, context: CONTEXT });
    expect(demands.zeroOperations).toBe(pruned / MULTIPLIED);
    expect(demands.productOperations).toBe(2 * MULTIPLIED);
  });
});
