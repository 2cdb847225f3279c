import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LayerPlan, overlay, undo } from '../../src/checkpoint/index.js';
import {
  ChunkCache,
  ObjectStore,
  openStoredLayer,
  type StoredLayer,
  StoredLayerWriter,
} from '../../src/store/index.js';
import { DTYPES, type Dtype } from '../../src/tensor/index.js';
import { type MemoryTensor, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

let root: string;
let store: ObjectStore;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'birdbone-layers-'));
  store = new ObjectStore(root);
});
afterEach(() => rm(root, { recursive: true }));

type State = Readonly<Record<string, MemoryTensor>>;

/** What a wave does to one tensor, as an edit would write it. */
type Change =
  | { readonly do: 'mask'; readonly kept: readonly boolean[] }
  | { readonly do: 'values'; readonly tensor: MemoryTensor };

/** The oracle: a change carried out element by element. */
function applied({ dtype, shape, bytes }: MemoryTensor, change: Change): MemoryTensor {
  if (change.do === 'values') return change.tensor;
  const elementBytes = DTYPES[dtype].bits / 8;
  const after = bytes.map((byte, at) => (change.kept[Math.floor(at / elementBytes)] ? byte : 0));
  return { dtype, shape, bytes: after };
}

function bitsOf(kept: readonly boolean[]): Uint8Array {
  const bits = new Uint8Array(Math.ceil(kept.length / 8));
  for (const [index, keeps] of kept.entries()) if (keeps) bits[Math.floor(index / 8)]! |= 1 << (index % 8);
  return bits;
}

/** Bytes without a pattern that deflate could find; their number is a multiple of 32. */
function noise(seed: number, length: number): Uint8Array {
  const blocks = Array.from({ length: length / 32 }, (_, index) =>
    createHash('sha256').update(`${seed} ${index}`).digest(),
  );
  return new Uint8Array(Buffer.concat(blocks));
}

/** Stores one wave over base and layers, writing values in pieces of this many bytes. */
async function addWave(
  base: State,
  layers: StoredLayer[],
  changes: Readonly<Record<string, Change>>,
  pieceBytes = 7,
): Promise<StoredLayer> {
  const before = { checkpoint: overlay(memoryCheckpoint(base), layers), layers };
  const masks: { name: string; elements: number }[] = [];
  const values: LayerPlan['values'][number][] = [];
  for (const [name, change] of Object.entries(changes)) {
    if (change.do === 'mask') masks.push({ name, elements: change.kept.length });
    else {
      const { dtype, shape, bytes } = change.tensor;
      values.push({ name, dtype, shape, byteLength: bytes.length });
    }
  }
  const writer = new StoredLayerWriter(store, { wave: layers.length + 1, plan: { masks, values }, before });
  for (const [name, change] of Object.entries(changes)) {
    if (change.do === 'mask') await writer.writeMask(name, bitsOf(change.kept));
    else {
      const { bytes } = change.tensor;
      for (let at = 0; at < bytes.length; at += pieceBytes)
        await writer.writeValues(name, at, bytes.subarray(at, at + pieceBytes));
    }
  }
  const { id } = await writer.commit();
  return openStoredLayer(store, id);
}

const digestOf = ({ dtype, shape, bytes }: MemoryTensor) =>
  createHash('sha256')
    .update(`${dtype}\0${shape.join(',')}\0`)
    .update(bytes)
    .digest('hex');

const dtypes = fc.constantFrom<Dtype>('F32', 'F16', 'BF16', 'U8', 'F8_E4M3', 'F64', 'F4');

/** Tensors whose bytes are often zero, so that masks meet weights that are zero already. */
const tensors = dtypes.chain((dtype) =>
  fc.tuple(fc.nat(3), fc.nat(9)).chain(([rows, columns]) => {
    const shape = [rows, columns * 2];
    const length = (rows * columns * 2 * DTYPES[dtype].bits) / 8;
    const byte = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 }));
    return fc
      .array(byte, { minLength: length, maxLength: length })
      .map((bytes): MemoryTensor => ({ dtype, shape, bytes: Uint8Array.from(bytes) }));
  }),
);

const sameForm = ({ dtype, shape, bytes }: MemoryTensor) =>
  fc
    .array(fc.integer({ min: 0, max: 255 }), { minLength: bytes.length, maxLength: bytes.length })
    .map((all): MemoryTensor => ({ dtype, shape, bytes: Uint8Array.from(all) }));

const kept = (tensor: MemoryTensor) => {
  const elements = tensor.shape.reduce((product, size) => product * size, 1);
  return fc.array(fc.boolean(), { minLength: elements, maxLength: elements });
};

/** A change that fits a tensor as it is; `reversible` ones keep its type and shape. */
const changeOf = (tensor: MemoryTensor, reversible: boolean): fc.Arbitrary<Change | undefined> => {
  const ways: fc.Arbitrary<Change | undefined>[] = [
    fc.constant(undefined),
    sameForm(tensor).map((next): Change => ({ do: 'values', tensor: next })),
  ];
  if (DTYPES[tensor.dtype].bits % 8 === 0) {
    ways.push(kept(tensor).map((bits): Change => ({ do: 'mask', kept: bits })));
    // Replaced by itself with zeros: what a mask says more briefly.
    ways.push(
      kept(tensor).map((bits): Change => ({ do: 'values', tensor: applied(tensor, { do: 'mask', kept: bits }) })),
    );
  }
  if (!reversible) ways.push(tensors.map((next): Change => ({ do: 'values', tensor: next })));
  return fc.oneof(...ways);
};

/** A base, and waves that each fit what the one before made. */
const histories = (reversible: boolean) =>
  fc.dictionary(fc.constantFrom('a', 'b.weight', 'c'), tensors, { minKeys: 1 }).chain((base) => {
    const wave = (state: State): fc.Arbitrary<Readonly<Record<string, Change>>> =>
      fc
        .record(Object.fromEntries(Object.entries(state).map(([name, tensor]) => [name, changeOf(tensor, reversible)])))
        .map((all) => Object.fromEntries(Object.entries(all).filter(([, change]) => change !== undefined))) as never;
    const after = (state: State, changes: Readonly<Record<string, Change>>): State =>
      Object.fromEntries(
        Object.entries(state).map(([name, tensor]) => [
          name,
          changes[name] === undefined ? tensor : applied(tensor, changes[name]),
        ]),
      );
    return wave(base).chain((first) => {
      const one = after(base, first);
      return wave(one).chain((second) => {
        const two = after(one, second);
        return wave(two).map((third) => ({
          changes: [first, second, third],
          states: [base, one, two, after(two, third)],
        }));
      });
    });
  });

describe('layers in the store', () => {
  it('read as the states they were made from, forward', async () => {
    await fc.assert(
      fc.asyncProperty(histories(false), fc.nat(), fc.nat(), async ({ changes, states }, from, to) => {
        const layers: StoredLayer[] = [];
        for (const [index, wave] of changes.entries()) {
          layers.push(await addWave(states[0]!, layers, wave));
          const stack = overlay(memoryCheckpoint(states[0]!), layers);
          for (const [name, tensor] of Object.entries(states[index + 1]!)) {
            const { dtype, shape, bytes } = tensor;
            expect(stack.tensors.get(name)).toEqual({ name, dtype, shape, byteLength: bytes.length });
            expect(await stack.read(name)).toEqual(bytes);
            // Whole elements, which every mask can be read by.
            const unit = Math.max(1, DTYPES[dtype].bits / 8);
            const [start, end] = [from, to]
              .map((at) => (at % (bytes.length / unit + 1)) * unit)
              .map(Math.floor)
              .sort((l, r) => l - r);
            const range = {
              offset: start! - (start! % unit),
              length: end! - (end! % unit) - (start! - (start! % unit)),
            };
            expect(await stack.read(name, range)).toEqual(bytes.slice(range.offset, range.offset + range.length));
          }
        }
      }),
      { numRuns: 60 },
    );
  }, 20_000);

  it('read as the states they were made from, backward, without the base', async () => {
    await fc.assert(
      fc.asyncProperty(histories(true), async ({ changes, states }) => {
        const layers: StoredLayer[] = [];
        for (const wave of changes) layers.push(await addWave(states[0]!, layers, wave));
        for (let last = 0; last <= 3; last += 1) {
          const back = undo(memoryCheckpoint(states[3]!), layers.slice(last));
          for (const [name, { bytes }] of Object.entries(states[last]!)) {
            expect(await back.read(name)).toEqual(bytes);
            const range = { offset: Math.floor(bytes.length / 3), length: Math.floor(bytes.length / 2) };
            expect(await back.read(name, range)).toEqual(bytes.slice(range.offset, range.offset + range.length));
          }
        }
      }),
      { numRuns: 60 },
    );
  }, 20_000);

  it('record the digests of what they change, and nothing of what they leave', async () => {
    await fc.assert(
      fc.asyncProperty(histories(false), async ({ changes, states }) => {
        const layers: StoredLayer[] = [];
        for (const [index, wave] of changes.entries()) {
          const layer = await addWave(states[0]!, layers, wave);
          layers.push(layer);
          for (const [name, after] of Object.entries(states[index + 1]!)) {
            const before = states[index]![name]!;
            const entry = layer.entries.get(name);
            const isMask = wave[name]?.do === 'mask' && wave[name].kept.includes(false);
            if (entry === undefined) expect(digestOf(after)).toBe(digestOf(before));
            else expect([entry.before, entry.after]).toEqual([digestOf(before), digestOf(after)]);
            if (digestOf(after) !== digestOf(before)) expect(entry).toBeDefined();
            if (entry?.kind === 'mask' && wave[name]?.do === 'mask') expect(isMask).toBe(true);
          }
        }
      }),
      { numRuns: 60 },
    );
  }, 20_000);

  it('choose the smaller of mask and XOR, and whole tensors only for another type or shape', async () => {
    // Far more bytes than a header.
    const tensor = (bytes: Uint8Array, dtype: Dtype = 'F16'): MemoryTensor => ({
      dtype,
      shape: [(bytes.length * 8) / DTYPES[dtype].bits],
      bytes,
    });
    const old = noise(1, 64 * 1024);
    const zeroed = old.map((byte, at) => (Math.floor(at / 2) % 7 === 3 ? 0 : byte));
    const nearby = old.map((byte, at) => (at % 64 === 0 ? byte ^ 1 : byte));
    const base = { zeroed: tensor(old), nearby: tensor(old), cast: tensor(old), shaped: tensor(old) };
    const layer = await addWave(
      base,
      [],
      {
        zeroed: { do: 'values', tensor: tensor(zeroed) },
        nearby: { do: 'values', tensor: tensor(nearby) },
        cast: { do: 'values', tensor: tensor(old, 'BF16') },
        shaped: { do: 'values', tensor: tensor(noise(2, 32 * 1024)) },
      },
      5000,
    );
    const kinds = [...layer.entries.values()].map(({ name, kind }) => [name, kind]);
    expect(kinds).toEqual([
      ['cast', 'whole'],
      ['nearby', 'xor'],
      ['shaped', 'whole'],
      ['zeroed', 'mask'],
    ]);
    expect(layer.entries.get('nearby')!.bytes).toBeLessThan(old.length / 10);
    expect(() => undo(memoryCheckpoint(base), [layer])).toThrow(/another type or shape/);
  });

  it('cut tensors into chunks, each decoded once while the cache holds it', async () => {
    const elements = 2 ** 20 * 2 + 9;
    const bytes = Uint8Array.from({ length: elements * 2 }, (_, at) => (at * 7 + Math.floor(at / 256)) % 256);
    const base = { w: { dtype: 'F16' as const, shape: [elements], bytes } };
    const keeps = Array.from({ length: elements }, (_, index) => index % 10 !== 3);
    const one = await addWave(base, [], { w: { do: 'mask', kept: keeps } });
    const expected = applied(base.w, { do: 'mask', kept: keeps }).bytes;
    const stack = overlay(memoryCheckpoint(base), [one]);
    const back = undo(memoryCheckpoint({ w: { ...base.w, bytes: expected } }), [one]);
    for (const [offset, length] of [
      [0, 100],
      [2 ** 21 - 6, 30],
      [2 ** 22 - 2, 20],
      [0, elements * 2],
    ] as const) {
      expect(
        Buffer.compare(await stack.read('w', { offset, length }), expected.subarray(offset, offset + length)),
      ).toBe(0);
      expect(Buffer.compare(await back.read('w', { offset, length }), bytes.subarray(offset, offset + length))).toBe(0);
    }
  });

  it.each(['U8', 'F16'] as const)(
    'give whole chunks of new values in the memory that is offered, of %s',
    async (dtype) => {
      const chunkBytes = 2 ** 20 * (DTYPES[dtype].bits / 8);
      const bytes = noise(3, 2 * chunkBytes + 32);
      const shape = [(bytes.length * 8) / DTYPES[dtype].bits];
      const base = { w: { dtype: 'F32' as const, shape: [1], bytes: new Uint8Array(4) } };
      const layer = await addWave(base, [], { w: { do: 'values', tensor: { dtype, shape, bytes } } }, 2 ** 19);
      const stack = overlay(memoryCheckpoint(base), [layer]);
      const into = new Uint8Array(bytes.length + 3);
      for (const [offset, length] of [
        [0, chunkBytes],
        [chunkBytes, chunkBytes + 32],
        [2 * chunkBytes, 32],
        [2, chunkBytes],
        [0, bytes.length],
      ] as const) {
        into.fill(0);
        const read = await stack.read('w', { offset, length, into });
        expect(read.buffer).toBe(into.buffer);
        expect(Buffer.compare(read, bytes.subarray(offset, offset + length))).toBe(0);
        expect(Buffer.compare(into.subarray(0, length), read)).toBe(0);
        expect(into.subarray(length).every((byte) => byte === 0)).toBe(true);
      }
    },
  );

  const entry = (change: Record<string, unknown> = {}) => {
    const digest = 'a'.repeat(64);
    const fields = {
      name: 'w',
      object: digest,
      bytes: 1,
      kind: 'mask',
      dtype: 'F16',
      shape: [2],
      before: digest,
      after: digest,
    };
    return Object.fromEntries(Object.entries({ ...fields, ...change }).sort());
  };
  const layerOf = (...tensors: unknown[]) => JSON.stringify({ tensors, version: 1, wave: 1 });
  it.each([
    ['a newer version', '{"tensors":[],"version":3,"wave":1}', /no layer of version 1/],
    ['no JSON', '{"tensors":[', /no layer/],
    ['white space', '{"tensors":[], "version":1,"wave":1}', /no layer/],
    ['a key twice', '{"tensors":[],"version":1,"version":1,"wave":1}', /no layer/],
    ['a key too many', '{"tensors":[],"version":1,"wave":1,"x":0}', /no layer/],
    ['wave 0', '{"tensors":[],"version":1,"wave":0}', /no layer/],
    ['an object that is a path', layerOf(entry({ object: `../../${'a'.repeat(58)}` })), /no layer/],
    ['an unknown type', layerOf(entry({ dtype: '__proto__' })), /no layer/],
    ['half an element', layerOf(entry({ shape: [0.5] })), /no layer/],
    ['a tensor twice', layerOf(entry(), entry()), /"w" is not after "w"/],
    ['tensors out of order', layerOf(entry({ name: 'b' }), entry({ name: 'a' })), /"a" is not after "b"/],
  ])('are not opened from %s', async (_, text, says) => {
    const { id } = await store.put(new TextEncoder().encode(text));
    await expect(openStoredLayer(store, id)).rejects.toMatchObject({ code: 'unreadable', file: store.fileOf(id) });
    await expect(openStoredLayer(store, id)).rejects.toThrow(says);
  });

  it('fit the base that they were made over, or are refused', async () => {
    const { id } = await store.put(new TextEncoder().encode(layerOf(entry({ kind: 'xor' }))));
    const layer = await openStoredLayer(store, id);
    const other = memoryCheckpoint({ w: { dtype: 'F16', shape: [3], bytes: new Uint8Array(6) } });
    for (const combine of [overlay, undo]) {
      expect(() => combine(other, [layer])).toThrow(/F16 \[3\], where the layer is of F16 \[2\]/);
      expect(() => combine(memoryCheckpoint({}), [layer])).toThrow(/does not store/);
    }
  });

  it('read no delta but the one they name', async () => {
    const base = { w: { dtype: 'U8' as const, shape: [2], bytes: Uint8Array.of(1, 2) } };
    const layer = await addWave(base, [], { w: { do: 'mask', kept: [true, false] } });
    const other = await addWave(base, [], { w: { do: 'mask', kept: [false, true] } });
    const swapped = { ...layer.entries.get('w')!, object: other.entries.get('w')!.object };
    const text = JSON.stringify({ tensors: [Object.fromEntries(Object.entries(swapped).sort())], version: 1, wave: 1 });
    const lie = await openStoredLayer(store, (await store.put(new TextEncoder().encode(text))).id);
    await expect(overlay(memoryCheckpoint(base), [lie]).read('w')).rejects.toThrow(
      /not the delta that its layer names/,
    );
  });

  it('refuse masks and values that were not planned, come twice, or do not come', async () => {
    const base = { w: { dtype: 'U8' as const, shape: [2], bytes: Uint8Array.of(1, 2) } };
    const plan = { masks: [{ name: 'w', elements: 2 }], values: [] };
    const settings = { wave: 1, plan, before: { checkpoint: memoryCheckpoint(base), layers: [] } };
    const writer = new StoredLayerWriter(store, settings);
    await expect(writer.commit()).rejects.toThrow(/not written/);
    await expect(writer.writeMask('w', new Uint8Array(2))).rejects.toThrow(RangeError);
    await expect(writer.writeMask('v', new Uint8Array(1))).rejects.toThrow(RangeError);
    await expect(writer.writeValues('w', 0, new Uint8Array(1))).rejects.toThrow(RangeError);
    await writer.writeMask('w', Uint8Array.of(3));
    await expect(writer.writeMask('w', Uint8Array.of(3))).rejects.toThrow(RangeError);
  });
});

describe('ChunkCache', () => {
  it('holds no more bytes than it may, and lets go of what was used longest ago', async () => {
    const cache = new ChunkCache(10);
    const made: string[] = [];
    const get = (key: string) =>
      cache.get(key, async () => {
        made.push(key);
        return new Uint8Array(4);
      });
    for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) await get(key);
    expect(made).toEqual(['a', 'b', 'c', 'b']);
    expect(cache.bytes).toBe(8);
    await cache.get('large', async () => new Uint8Array(11));
    expect(cache.bytes).toBe(0);
  });

  it('makes a piece once for all who want it at a time, and again where that failed', async () => {
    const cache = new ChunkCache(10);
    let made = 0;
    const make = async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      made += 1;
      if (made === 1) throw new Error('the disk is gone');
      return new Uint8Array(4);
    };
    const first = await Promise.allSettled([cache.get('a', make), cache.get('a', make)]);
    expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    const [left, right] = await Promise.all([cache.get('a', make), cache.get('a', make)]);
    expect(left).toBe(right);
    expect([made, cache.bytes]).toEqual([2, 4]);
  });
});
