import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sumPairs } from '../../src/differences/index.js';
import { type DiffReport, diffCheckpoints, hashCheckpoint, type TensorDiff } from '../../src/manifest/index.js';
import { type Dtype, encodeFromF32 } from '../../src/tensor/index.js';
import { f32, type MemoryTensor, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

type Tensors = Record<string, MemoryTensor>;

const diffOf = (before: Tensors, after: Tensors) => diffCheckpoints(memoryCheckpoint(before), memoryCheckpoint(after));

async function one(before: MemoryTensor, after: MemoryTensor): Promise<TensorDiff> {
  return (await diffOf({ w: before }, { w: after })).tensors[0]!;
}

function stored(dtype: Dtype, values: readonly number[]): MemoryTensor {
  return { dtype, shape: [values.length], bytes: encodeFromF32(Float32Array.from(values), dtype) };
}

function ofBytes(dtype: Dtype, shape: number[], array: ArrayBufferView): MemoryTensor {
  return { dtype, shape, bytes: new Uint8Array(array.buffer.slice(0) as ArrayBuffer) };
}

describe('diffCheckpoints', () => {
  // Before (3, 4, 0), after (3, 0, 4): two of three changed; ‖b − a‖ = √32, ‖a‖ = ‖b‖ = 5, a · b = 9.
  it.each(['F32', 'F16', 'BF16'] as const)('measures a change of %s values by hand', async (dtype) => {
    const { status, values } = await one(stored(dtype, [3, 4, 0]), stored(dtype, [3, 0, 4]));
    expect(status).toBe('changed');
    expect(values).toMatchObject({ elements: 3, changed: 2, fractionChanged: 2 / 3, maxAbsoluteChange: 4 });
    expect(values).toMatchObject({
      sparsityBefore: 1 / 3,
      sparsityAfter: 1 / 3,
      nonFiniteBefore: 0,
      nonFiniteAfter: 0,
    });
    expect(values!.relativeError).toBeCloseTo(Math.sqrt(32) / 5, 14);
    expect(values!.cosine).toBeCloseTo(9 / 25, 14);
  });

  it.each([
    ['F64', ofBytes('F64', [3], Float64Array.of(3, 4, 0)), ofBytes('F64', [3], Float64Array.of(3, 0, 4))],
    ['I8', ofBytes('I8', [3], Int8Array.of(3, 4, 0)), ofBytes('I8', [3], Int8Array.of(3, 0, 4))],
    ['U16', ofBytes('U16', [3], Uint16Array.of(3, 4, 0)), ofBytes('U16', [3], Uint16Array.of(3, 0, 4))],
    ['I32', ofBytes('I32', [3], Int32Array.of(3, 4, 0)), ofBytes('I32', [3], Int32Array.of(3, 0, 4))],
    ['I64', ofBytes('I64', [3], BigInt64Array.of(3n, 4n, 0n)), ofBytes('I64', [3], BigInt64Array.of(3n, 0n, 4n))],
    // E4M3: 3 = 1.5 · 2^1 is 0x44, 4 = 1 · 2^2 is 0x48.
    [
      'F8_E4M3',
      ofBytes('F8_E4M3', [3], Uint8Array.of(0x44, 0x48, 0)),
      ofBytes('F8_E4M3', [3], Uint8Array.of(0x44, 0, 0x48)),
    ],
    ['F32 → BF16', f32([3], [3, 4, 0]), stored('BF16', [3, 0, 4])],
  ])('measures the same change of %s values', async (_, before, after) => {
    const { values } = await one(before, after);
    expect(values).toMatchObject({ changed: 2, sparsityBefore: 1 / 3, sparsityAfter: 1 / 3, maxAbsoluteChange: 4 });
    expect(values!.relativeError).toBeCloseTo(Math.sqrt(32) / 5, 14);
    expect(values!.cosine).toBeCloseTo(9 / 25, 14);
  });

  it('tells a minus zero from a zero, and counts both as zeros', async () => {
    for (const dtype of ['F32', 'BF16'] as const) {
      const { values } = await one(stored(dtype, [-0, 2]), stored(dtype, [0, 2]));
      expect(values).toMatchObject({
        changed: 1,
        sparsityBefore: 0.5,
        sparsityAfter: 0.5,
        relativeError: 0,
        cosine: 1,
      });
    }
  });

  it('counts what is not finite and leaves it out of the norms', async () => {
    const [nan, inf] = [Number.NaN, Number.POSITIVE_INFINITY];
    for (const dtype of ['F32', 'F16', 'BF16'] as const) {
      const { values } = await one(stored(dtype, [3, 4, nan, inf, 0]), stored(dtype, [3, 0, 1, inf, inf]));
      expect(values).toMatchObject({ elements: 5, changed: 3, nonFiniteBefore: 2, nonFiniteAfter: 2 });
      expect(values!.relativeError).toBeCloseTo(4 / 5, 14);
      expect(values!.cosine).toBeCloseTo(3 / 5, 14);
      expect(values!.maxAbsoluteChange).toBe(4);
    }
  });

  it('has no relative error against all zeros, and no cosine with them', async () => {
    const { values } = await one(f32([2], [0, 0]), f32([2], [0, 1]));
    expect(values).toMatchObject({ relativeError: null, cosine: null, maxAbsoluteChange: 1, sparsityBefore: 1 });
  });

  it('lists what was added, removed, reshaped or stored as another type', async () => {
    const before = { a: f32([2], [1, 2]), b: f32([2, 2], [1, 2, 3, 4]), c: f32([1], [1]), d: f32([1], [1.5]) };
    const after = { a: f32([2], [1, 2]), b: f32([1, 2], [1, 2]), d: stored('BF16', [1.5]), e: f32([1], [1]) };
    const diff = await diffOf(before, after);
    expect(diff.tensors.map(({ name, status }) => [name, status])).toEqual([
      ['a', 'identical'],
      ['b', 'reshaped'],
      ['c', 'removed'],
      ['d', 'changed'],
      ['e', 'added'],
    ]);
    expect(diff.counts).toEqual({ identical: 1, changed: 1, reshaped: 1, added: 1, removed: 1 });
    expect(diff.tensors[1]).toMatchObject({ before: { shape: [2, 2], bytes: 16 }, after: { shape: [1, 2], bytes: 8 } });
    expect(diff.tensors[3]!.values).toMatchObject({ changed: 0, relativeError: 0, cosine: 1 });
    expect(diff.before).toEqual({ name: 'memory', tensors: 4, parameters: 8, bytes: 32 });
    expect(diff.after).toEqual({ name: 'memory', tensors: 4, parameters: 6, bytes: 22 });
  });

  it('compares by bytes what has no value per element', async () => {
    const packed = (byte: number): MemoryTensor => ({ dtype: 'F4', shape: [2], bytes: Uint8Array.of(byte) });
    expect(await one(packed(0x12), packed(0x13))).toMatchObject({ status: 'changed', values: null });
    expect(await one(packed(0x12), packed(0x12))).toMatchObject({ status: 'identical' });
  });

  it('sees through aliases', async () => {
    const embedding = f32([2], [1, 2]);
    const untied = memoryCheckpoint({ embed: embedding, head: embedding });
    const tied = memoryCheckpoint({ embed: embedding }, { aliases: { head: 'embed' } });
    const diff = await diffCheckpoints(untied, tied);
    expect(diff.counts).toMatchObject({ identical: 2, removed: 0 });
    expect(diff.fields).toEqual([{ where: 'alias', key: 'head', before: null, after: 'embed' }]);
  });

  it('lists what changed in config and metadata', async () => {
    const folderWith = async (config: object) => {
      const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-diff-'));
      await writeFile(path.join(folder, 'config.json'), JSON.stringify(config));
      return folder;
    };
    const tensors = { w: f32([1], [1]) };
    const before = memoryCheckpoint(tensors, {
      path: await folderWith({ ffn: 8, same: { a: 1, b: 2 } }),
      metadata: { format: 'pt' },
    });
    const after = memoryCheckpoint(tensors, { path: await folderWith({ ffn: 4, same: { b: 2, a: 1 }, extra: true }) });
    const diff = await diffCheckpoints(before, after);
    expect(diff.identical).toBe(false);
    expect(diff.fields).toEqual([
      { where: 'config', key: 'extra', before: null, after: true },
      { where: 'config', key: 'ffn', before: 8, after: 4 },
      { where: 'metadata', key: 'format', before: 'pt', after: null },
    ]);
  });

  it('finds one changed element behind many chunks, and adds chunks up', async () => {
    const length = 2_500_000;
    const before = Float32Array.from({ length }, (_, index) => (index % 7) - 3);
    const after = before.slice();
    after[length - 1] = 100;
    const { status, values } = await one(ofBytes('F32', [length], before), ofBytes('F32', [length], after));
    let squares = 0;
    for (const value of before) squares += value * value;
    const change = 100 - before[length - 1]!;
    expect(status).toBe('changed');
    expect(values).toMatchObject({ elements: length, changed: 1, maxAbsoluteChange: change });
    expect(values!.relativeError).toBeCloseTo(change / Math.sqrt(squares), 12);
  });

  it('reads no more of a tensor than its first difference while it compares bytes', async () => {
    const bytes = new Uint8Array(40 * 1024 * 1024);
    const before = memoryCheckpoint({ w: { dtype: 'F4', shape: [2 * bytes.length], bytes } });
    const after = memoryCheckpoint({
      w: { dtype: 'F4', shape: [2 * bytes.length], bytes: bytes.slice().fill(1, 0, 1) },
    });
    let read = 0;
    const counted = {
      ...before,
      read: (name: string, range: { offset: number; length: number }) => {
        read += range.length;
        return after.read(name, range);
      },
    };
    await diffCheckpoints(before, counted as typeof before);
    expect(read).toBeLessThanOrEqual(3 * 1024 * 1024);
  });

  it('says the same with what is known beforehand, without reading for it', async () => {
    const [zero, one_, two] = [0, 1, 2].map((value) =>
      f32(
        [2, 3],
        Array.from({ length: 6 }, (_, i) => value * i),
      ),
    );
    const before = memoryCheckpoint({ same: one_!, other: one_!, changed: zero! });
    const after = memoryCheckpoint({ same: one_!, other: two!, changed: two! });
    const plain = await diffCheckpoints(before, after);
    const sums = sumPairs({ dtype: 'F32', bytes: zero!.bytes }, { dtype: 'F32', bytes: two!.bytes });
    const reads: string[] = [];
    const watched = {
      ...after,
      read: (name: string, range?: { offset: number; length: number }) => {
        reads.push(name);
        return after.read(name, range);
      },
    };
    const known = {
      before: (await hashCheckpoint(before)).tensors,
      after: (await hashCheckpoint(after)).tensors,
      sums: new Map([['changed', [{ chunk: 0, sums }]]]),
    };
    expect(await diffCheckpoints(before, watched, { known })).toEqual(plain);
    expect(reads).toEqual(['other']);
    // Digests of a tensor of another form say nothing of this one.
    const odd = new Map([...known.after].map(([name, digest]) => [name, { ...digest, shape: [6] }]));
    expect(await diffCheckpoints(before, after, { known: { ...known, after: odd } })).toEqual(plain);
  });

  it('stops when told to', async () => {
    const checkpoint = memoryCheckpoint({ w: f32([1], [1]) });
    await expect(diffCheckpoints(checkpoint, checkpoint, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'interrupted',
    });
  });
});

const dtype = fc.constantFrom<Dtype>('F32', 'F16', 'BF16');
const values = fc.array(fc.float({ noNaN: true, min: -1e4, max: 1e4 }), { minLength: 1, maxLength: 40 });

describe('a diff of random values', () => {
  it('of a checkpoint with itself is empty', async () => {
    const tensors = fc.dictionary(
      fc.string({ minLength: 1 }),
      fc.tuple(dtype, values).map(([type, list]) => stored(type, list)),
    );
    await fc.assert(
      fc.asyncProperty(tensors, async (all) => {
        const diff: DiffReport = await diffOf(all, all);
        expect(diff).toMatchObject({ identical: true, values: null, fields: [] });
        expect(diff.counts.identical).toBe(Object.keys(all).length);
      }),
    );
  });

  it('is what a plain float64 loop over the decoded values says', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.float(), fc.float()), { minLength: 1, maxLength: 40 }), async (pairs) => {
        const before = pairs.map(([x]) => Math.fround(x));
        const after = pairs.map(([x, y]) => Math.fround(y > 0 ? y : x));
        const { status, values: found } = await one(f32([pairs.length], before), f32([pairs.length], after));
        let [xx, xy, yy, dd, changed] = [0, 0, 0, 0, 0];
        before.forEach((x, index) => {
          const y = after[index]!;
          if (!Object.is(x, y)) changed += 1;
          if (!Number.isFinite(x) || !Number.isFinite(y)) return;
          xx += x * x;
          xy += x * y;
          yy += y * y;
          dd += (y - x) ** 2;
        });
        if (changed === 0) {
          expect(status).toBe('identical');
          return;
        }
        expect(found!.changed).toBe(changed);
        // Another order of addition, of numbers that may be of any size.
        const error = Math.sqrt(dd / xx);
        if (xx > 0) expect(Math.abs(found!.relativeError! - error)).toBeLessThanOrEqual(1e-9 * error);
        if (xx > 0 && yy > 0) expect(found!.cosine).toBeCloseTo(xy / Math.sqrt(xx) / Math.sqrt(yy), 9);
      }),
    );
  });
});
