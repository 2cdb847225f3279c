import { createHash } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashCheckpoint } from '../../src/manifest/index.js';
import { f32, type MemoryTensor, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

function sha256(...parts: (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

const weights = async (tensors: Record<string, MemoryTensor>) =>
  (await hashCheckpoint(memoryCheckpoint(tensors))).weights;

describe('hashCheckpoint', () => {
  it('hashes dtype, shape and the stored bytes of each tensor', async () => {
    // 1 is 00 00 80 3f and -2 is 00 00 00 c0 in little-endian float32.
    const { tensors } = await hashCheckpoint(memoryCheckpoint({ w: f32([1, 2], [1, -2]) }));
    const bytes = new Uint8Array([0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x00, 0xc0]);
    expect(tensors.get('w')).toEqual({ dtype: 'F32', shape: [1, 2], sha256: sha256('F32\x001,2\x00', bytes) });
  });

  it('makes the weights hash of names and digests in name order', async () => {
    const { weights: found } = await hashCheckpoint(memoryCheckpoint({ b: f32([], [0]), a: f32([0], []) }));
    const a = sha256('F32\x000\x00');
    const b = sha256('F32\x00\x00', new Uint8Array(4));
    expect(found).toBe(sha256(`a\0${a}\n`, `b\0${b}\n`));
  });

  it('hashes a tensor of many chunks as one run of bytes', async () => {
    const bytes = new Uint8Array(9 * 1024 * 1024 + 5).map((_, index) => index % 251);
    const checkpoint = memoryCheckpoint({ long: { dtype: 'U8', shape: [bytes.length], bytes } });
    const { tensors } = await hashCheckpoint(checkpoint);
    expect(tensors.get('long')?.sha256).toBe(sha256(`U8\0${bytes.length}\0`, bytes));
  });

  it('keeps weights and metadata apart', async () => {
    const tensors = { w: f32([2], [1, 2]) };
    const plain = await hashCheckpoint(memoryCheckpoint(tensors));
    const noted = await hashCheckpoint(memoryCheckpoint(tensors, { metadata: { format: 'pt' } }));
    const tied = await hashCheckpoint(memoryCheckpoint(tensors, { aliases: { head: 'w' } }));
    const moved = await hashCheckpoint(memoryCheckpoint({ w: f32([2], [1, 3]) }));
    expect([noted.weights, tied.weights]).toEqual([plain.weights, plain.weights]);
    expect(new Set([plain, noted, tied].map(({ metadata }) => metadata)).size).toBe(3);
    expect(moved.metadata).toBe(plain.metadata);
    expect(moved.weights).not.toBe(plain.weights);
  });

  it('takes in what config.json says, not how it is written', async () => {
    const hashWith = async (config: string | undefined) => {
      const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-config-'));
      if (config !== undefined) await writeFile(path.join(folder, 'config.json'), config);
      return hashCheckpoint(memoryCheckpoint({ w: f32([1], [1]) }, { path: folder }));
    };
    const first = await hashWith('{"hidden_size": 64, "rope": {"a": 1, "b": [2, 3]}}');
    const reformatted = await hashWith('{\n "rope": {"b": [2,3], "a": 1.0},\n "hidden_size": 64}\n');
    const edited = await hashWith('{"hidden_size": 65, "rope": {"a": 1, "b": [2, 3]}}');
    const without = await hashWith(undefined);
    expect(reformatted).toEqual(first);
    expect(edited.metadata).not.toBe(first.metadata);
    expect(edited.weights).toBe(first.weights);
    expect(first.config).toBe(sha256('{"hidden_size":64,"rope":{"a":1,"b":[2,3]}}'));
    expect(without.config).toBeNull();
    await expect(hashWith('{"hidden_size": 64')).rejects.toMatchObject({ code: 'unreadable' });
    await expect(hashWith('['.repeat(100_000) + ']'.repeat(100_000))).rejects.toMatchObject({ code: 'unreadable' });
  });

  it('keeps tensors with names that mean something to JavaScript', async () => {
    const tensors = Object.fromEntries(['__proto__', 'constructor', 'toString'].map((name) => [name, f32([1], [1])]));
    const found = await hashCheckpoint(memoryCheckpoint(tensors));
    expect([...found.tensors.keys()]).toEqual(['__proto__', 'constructor', 'toString']);
  });

  it('says how far it is and stops when told to', async () => {
    const checkpoint = memoryCheckpoint({ a: f32([2], [1, 2]), b: f32([1], [3]) });
    const seen: unknown[] = [];
    await hashCheckpoint(checkpoint, { report: (event) => seen.push(event) });
    expect(seen).toEqual([
      { type: 'progress', stage: 'hash', done: 8, total: 12, unit: 'bytes' },
      { type: 'progress', stage: 'hash', done: 12, total: 12, unit: 'bytes' },
    ]);
    const signal = AbortSignal.abort();
    await expect(hashCheckpoint(checkpoint, { signal })).rejects.toMatchObject({ code: 'interrupted' });
  });

  it('passes on what a read throws', async () => {
    const checkpoint = memoryCheckpoint({ a: f32([1], [1]), b: f32([1], [1]) });
    const broken = { ...checkpoint, read: () => Promise.reject(new Error('disk')) };
    await expect(hashCheckpoint(broken)).rejects.toThrow('disk');
  });
});

const bytes = fc.uint8Array({ minLength: 1, maxLength: 24 });
const tensor = bytes.map((values): MemoryTensor => ({ dtype: 'U8', shape: [values.length], bytes: values }));
const named = fc.dictionary(fc.string({ minLength: 1, maxLength: 6 }), tensor, { minKeys: 1, maxKeys: 6 });

describe('the weights hash', () => {
  it('does not depend on the order in which tensors are stored', async () => {
    await fc.assert(
      fc.asyncProperty(named, async (tensors) => {
        const reversed = Object.fromEntries(Object.entries(tensors).reverse());
        expect(await weights(reversed)).toBe(await weights(tensors));
      }),
    );
  });

  it('changes with any flipped bit', async () => {
    await fc.assert(
      fc.asyncProperty(named, fc.nat(), fc.nat(), fc.nat(7), async (tensors, which, where, bit) => {
        const names = Object.keys(tensors);
        const name = names[which % names.length]!;
        const flipped = tensors[name]!.bytes.slice();
        flipped[where % flipped.length]! ^= 1 << bit;
        const changed = { ...tensors, [name]: { ...tensors[name]!, bytes: flipped } };
        expect(await weights(changed)).not.toBe(await weights(tensors));
      }),
    );
  });

  it('changes with dtype, with shape and with a name', async () => {
    const stored = new Uint8Array(4).fill(7);
    const as = (name: string, dtype: MemoryTensor['dtype'], shape: number[]) =>
      weights({ [name]: { dtype, shape, bytes: stored } });
    const all = await Promise.all([
      as('w', 'U8', [4]),
      as('w', 'I8', [4]),
      as('w', 'U8', [2, 2]),
      as('w', 'U8', [4, 1]),
      as('w', 'U8', [1, 4]),
      as('w', 'F32', [1]),
      as('v', 'U8', [4]),
    ]);
    expect(new Set(all).size).toBe(all.length);
  });
});
