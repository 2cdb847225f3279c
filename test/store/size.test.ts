import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Checkpoint, openCheckpoint, readFloats } from '../../src/checkpoint/index.js';
import { ObjectStore, StoredLayerWriter } from '../../src/store/index.js';
import { encodeFromF32 } from '../../src/tensor/index.js';
import { memoryCheckpoint } from '../fixtures/memory-checkpoint.js';
import { sharedMissing, sharedModel } from '../shared.js';

/** A wave that removes a tenth of the weights of two bytes: H(0.1) = 0.469 bits for where, 1.6 bits for what, of 16. */
const ENTROPY_LIMIT = 0.1293;
const BOUND = 0.15;

let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'birdbone-size-'));
});
afterEach(() => rm(root, { recursive: true }));

/** Bytes in the store after one wave that keeps what `keeps` says, as a fraction of the bytes of the tensors it masks. */
async function costOf(
  checkpoint: Checkpoint,
  keeps: (values: Float32Array, name: string) => (index: number) => boolean,
): Promise<number> {
  const names = [...checkpoint.tensors.values()].filter(({ shape }) => shape.length === 2).map(({ name }) => name);
  const elements = (name: string) => checkpoint.tensors.get(name)!.shape.reduce((product, size) => product * size, 1);
  const plan = { masks: names.map((name) => ({ name, elements: elements(name) })), values: [] };
  const store = new ObjectStore(await mkdtemp(path.join(root, 'store-')));
  const writer = new StoredLayerWriter(store, { wave: 1, plan, before: { checkpoint, layers: [] } });
  for (const name of names) {
    const values = await readFloats(checkpoint, name);
    const keep = keeps(values, name);
    const bits = new Uint8Array(Math.ceil(values.length / 8));
    for (let index = 0; index < values.length; index += 1) if (keep(index)) bits[index >>> 3]! |= 1 << (index & 7);
    await writer.writeMask(name, bits);
  }
  await writer.commit();
  let stored = 0;
  for await (const { bytes } of store.entries()) stored += bytes;
  return stored / names.reduce((sum, name) => sum + checkpoint.tensors.get(name)!.byteLength, 0);
}

function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return (state + 0.5) / 2 ** 32;
  };
}

/** Normally distributed weights (Box and Muller 1958), as F16. */
function normalWeights(elements: number): Checkpoint {
  const next = generator(11);
  const values = Float32Array.from(
    { length: elements },
    () => 0.02 * Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next()),
  );
  return memoryCheckpoint({ w: { dtype: 'F16', shape: [elements / 512, 512], bytes: encodeFromF32(values, 'F16') } });
}

/** Keeps all but the tenth with the smallest magnitude. */
const byMagnitude = (values: Float32Array) => {
  const sorted = values.map(Math.abs).sort();
  const threshold = sorted[Math.floor(values.length / 10)]!;
  return (index: number) => Math.abs(values[index]!) >= threshold;
};

/** Keeps all but a tenth, whatever they are: nothing about what goes can be foreseen. */
const byChance = () => {
  const next = generator(5);
  return () => next() >= 0.1;
};

describe('a wave that zeroes a tenth of the weights', () => {
  it.each([
    ['the smallest', byMagnitude],
    ['any', byChance],
  ])('costs no more than the entropy of an F16 model of normal weights (%s)', async (_, keeps) => {
    const cost = await costOf(normalWeights(2 ** 21), keeps);
    console.log(`normal F16 weights: ${(100 * cost).toFixed(2)} % of the model`);
    expect(cost).toBeLessThan(ENTROPY_LIMIT);
  });

  const real = ['novels-5m', 'tinystories-656k'] as const;
  for (const model of real) {
    const name = `costs less than 15 % of ${model}`;
    it.skipIf(sharedMissing !== undefined)(
      sharedMissing === undefined ? name : `${name} (${sharedMissing})`,
      async () => {
        const checkpoint = await openCheckpoint(sharedModel(model));
        for (const [how, keeps] of [
          ['smallest', byMagnitude],
          ['any', byChance],
        ] as const) {
          const cost = await costOf(checkpoint, keeps);
          const [dtype] = [...checkpoint.tensors.values()].map((info) => info.dtype);
          console.log(`${model} (${dtype}), ${how}: ${(100 * cost).toFixed(2)} % of the matrices`);
          expect(cost).toBeLessThan(BOUND);
        }
        await checkpoint.close();
      },
    );
  }
});
