import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memoryLayer, overlay } from '../../src/checkpoint/index.js';
import { disposeBlock, loadBlock, type Model, openModel, withCheckpoint } from '../../src/model/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { TINY_LLAMA, tinyModel, writeTinyModel } from '../reference/tiny-model.js';

const folder = writeTinyModel(tinyModel({ ...TINY_LLAMA, num_hidden_layers: 3 }));
let device: Device;
let opened: Model;
beforeAll(async () => {
  device = await openDevice('cpu');
  opened = await openModel(folder);
});
afterAll(async () => {
  await opened.checkpoint.close();
  await device.close();
  rmSync(folder, { recursive: true });
});

/** The model with a note of every tensor that was asked for ahead. */
function noting(): { model: Model; brought: string[] } {
  const brought: string[] = [];
  const { checkpoint, decoder } = opened;
  const prefetch = async (name: string) => void brought.push(name);
  // A decoder of its own: what was brought is known by it.
  return { model: { decoder: { ...decoder }, checkpoint: { ...checkpoint, prefetch } }, brought };
}

const load = async (model: Model, index: number) => {
  disposeBlock(await loadBlock(model, index, device));
  // The reads ahead are not waited for.
  await new Promise((resolve) => setImmediate(resolve));
};
const linearsOf = (index: number) => opened.decoder.blocks[index]!.linears.map(({ weight }) => weight);

describe('loading a block', () => {
  it('brings the weights of the next one, in their order, and none past the last', async () => {
    const { model, brought } = noting();
    await load(model, 0);
    expect(brought).toEqual(linearsOf(1));
    await load(model, 1);
    expect(brought).toEqual([...linearsOf(1), ...linearsOf(2)]);
    await load(model, 2);
    expect(brought).toHaveLength(14);
  });

  it('brings a block once while the one before it is loaded again through a layer, and again in the next pass', async () => {
    const { model, brought } = noting();
    await load(model, 0);
    const first = linearsOf(0)[0]!;
    const bits = new Uint8Array(Math.ceil((32 * 32) / 8)).fill(0xff);
    await load(withCheckpoint(model, overlay(model.checkpoint, [memoryLayer(new Map([[first, bits]]))])), 0);
    expect(brought).toEqual(linearsOf(1));
    await load(model, 1);
    await load(model, 0);
    expect(brought).toEqual([...linearsOf(1), ...linearsOf(2), ...linearsOf(1)]);
  });

  it('leaves out what a layer replaces, and does without where nothing can be brought', async () => {
    const { model, brought } = noting();
    const replaced = linearsOf(1)[0]!;
    const info = opened.checkpoint.tensors.get(replaced)!;
    const values = new Map([[replaced, { info, bytes: new Uint8Array(info.byteLength) }]]);
    await load(withCheckpoint(model, overlay(model.checkpoint, [memoryLayer(new Map(), values)])), 0);
    expect(brought).toEqual(linearsOf(1).slice(1));
    const { prefetch: _, ...inMemory } = opened.checkpoint;
    await load({ decoder: opened.decoder, checkpoint: inMemory }, 0);
  });
});
