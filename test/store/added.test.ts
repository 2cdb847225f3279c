import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Checkpoint, memoryLayer, overlay, undo } from '../../src/checkpoint/index.js';
import { ObjectStore, openStoredLayer, readLayerObject, StoredLayerWriter } from '../../src/store/index.js';
import { f32, type MemoryTensor, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

let root: string;
let store: ObjectStore;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'birdbone-added-'));
  store = new ObjectStore(root);
});
afterEach(() => rm(root, { recursive: true }));

type Tensors = Readonly<Record<string, MemoryTensor>>;

const infoOf = (name: string, { dtype, shape, bytes }: MemoryTensor) => ({
  name,
  dtype,
  shape,
  byteLength: bytes.length,
});

/** Stores a wave that gives these tensors, old and new, these bytes. */
async function addWave(wave: number, before: Checkpoint, tensors: Tensors) {
  const values = Object.entries(tensors).map(([name, tensor]) => infoOf(name, tensor));
  const settings = { wave, plan: { masks: [], values }, before: { checkpoint: before, layers: [] } };
  const writer = new StoredLayerWriter(store, settings);
  for (const [name, { bytes }] of Object.entries(tensors)) {
    for (let at = 0; at < bytes.length; at += 5) await writer.writeValues(name, at, bytes.subarray(at, at + 5));
  }
  return (await writer.commit()).id;
}

/** Every stored tensor with its type, shape and bytes. */
async function contents(checkpoint: Checkpoint): Promise<Record<string, unknown>> {
  const entries: [string, unknown][] = [];
  for (const [name, info] of checkpoint.tensors) entries.push([name, { info, bytes: await checkpoint.read(name) }]);
  return Object.fromEntries(entries);
}

const tensor = fc
  .uint8Array({ maxLength: 40 })
  .map((bytes): MemoryTensor => ({ dtype: 'U8', shape: [bytes.length], bytes }));
const base: Tensors = { b: f32([2], [1, 2]), w: f32([3], [3, 4, 5]) };

describe('tensors that a wave adds', () => {
  it('are read with the others, in the order of names, from memory and from the store', async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.constantFrom('a', 'c', 'w_scale', 'x'), tensor), async (added) => {
        const expected = await contents(memoryCheckpoint({ ...base, ...added }));
        const dense = memoryCheckpoint(base);
        const layer = await openStoredLayer(store, await addWave(1, dense, added));
        const values = new Map(
          Object.entries(added).map(([name, value]) => [name, { info: infoOf(name, value), bytes: value.bytes }]),
        );
        for (const each of [layer, memoryLayer(new Map(), new Map(), values)]) {
          const seen = overlay(dense, [each]);
          expect([...seen.tensors.keys()]).toEqual(Object.keys(expected));
          expect(await contents(seen)).toEqual(expected);
        }
      }),
      { numRuns: 15 },
    );
  });

  it('are gone when the wave is undone, also after a later wave has changed them', async () => {
    const same = { dtype: 'U8', shape: [4] } as const;
    const [first, second] = [Uint8Array.of(1, 2, 3, 4), Uint8Array.of(1, 2, 0, 0)];
    const dense = memoryCheckpoint(base);
    const one = await openStoredLayer(store, await addWave(1, dense, { n: { ...same, bytes: first } }));
    const over = overlay(dense, [one]);
    const two = await openStoredLayer(store, await addWave(2, over, { n: { ...same, bytes: second } }));
    expect([...two.added.keys(), ...two.values.keys()]).toEqual([]);
    expect(await overlay(dense, [one, two]).read('n')).toEqual(second);

    const after = memoryCheckpoint({ ...base, n: { ...same, bytes: second } });
    expect(await undo(after, [two]).read('n')).toEqual(first);
    const back = undo(after, [one, two]);
    expect(await contents(back)).toEqual(await contents(dense));
    await expect(back.read('n')).rejects.toThrow(/no tensor|"n"/);
  });

  it('keep layers without them as they were: version 1, and version 2 with them', async () => {
    const versions: number[] = [];
    const dense = memoryCheckpoint(base);
    for (const change of [{ w: f32([3], [0, 0, 1]) }, { n: f32([1], [7]) }]) {
      versions.push((await readLayerObject(store, await addWave(1, dense, change))).version);
    }
    expect(versions).toEqual([1, 2]);
  });

  it('are refused where the base has them already, by name or alias, and changes of what it has not', async () => {
    const dense = memoryCheckpoint(base);
    const layer = await openStoredLayer(store, await addWave(1, dense, { n: f32([1], [7]) }));
    const stored = memoryCheckpoint({ ...base, n: f32([1], [7]) });
    expect(() => overlay(stored, [layer])).toThrow(/changes tensor "n", which it adds and the base has already/);
    expect(() => overlay(memoryCheckpoint(base, { aliases: { n: 'w' } }), [layer])).toThrow(/has already/);
    const replacing = await openStoredLayer(store, await addWave(1, stored, { n: f32([2], [7, 8]) }));
    expect(() => overlay(dense, [replacing])).toThrow(/changes tensor "n", which the base does not store/);
    expect(() => undo(dense, [layer])).toThrow(/changes tensor "n", which the base does not store/);
  });

  it('have no digest of a tensor before them, and are refused with one', async () => {
    const id = await addWave(1, memoryCheckpoint(base), { n: f32([1], [7]) });
    const { tensors, ...layer } = await readLayerObject(store, id);
    expect(tensors[0]).not.toHaveProperty('before');
    const forged = { tensors: [{ ...tensors[0]!, before: tensors[0]!.after }], version: 2, wave: layer.wave };
    const sorted = {
      ...forged,
      tensors: forged.tensors.map((entry) => Object.fromEntries(Object.entries(entry).sort())),
    };
    const { id: wrong } = await store.put(Buffer.from(JSON.stringify(sorted)));
    await expect(openStoredLayer(store, wrong)).rejects.toThrow(/no layer of version/);
  });
});
