import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/index.js';
import { hashCheckpoint, hashWhileRead } from '../../src/manifest/index.js';
import { memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

/** More than is hashed without threads, in tensors that are no whole number of pieces. */
const sizes = { a: 30_000_001, b: 7, c: 25_000_000, d: 12_345_678 };
const bytesOf = (length: number) => new Uint8Array(length).fill(length % 251);
const source = memoryCheckpoint(
  Object.fromEntries(
    Object.entries(sizes).map(([name, length]) => [name, { dtype: 'U8', shape: [length], bytes: bytesOf(length) }]),
  ),
);
const expected = Object.entries(sizes).map(([name, length]) => {
  const sha256 = createHash('sha256').update(`U8\0${length}\0`).update(bytesOf(length)).digest('hex');
  return [name, sha256];
});
const digestsOf = ({ tensors }: Awaited<ReturnType<typeof hashCheckpoint>>) =>
  [...tensors].map(([name, { sha256 }]) => [name, sha256]);

describe('a checkpoint that is hashed on threads', () => {
  it('has the digests of its bytes', async () => {
    expect(digestsOf(await hashCheckpoint(source))).toEqual(expected);
  });

  it('has them where it is hashed while it is read, whatever the reader does with its bytes', async () => {
    const reading = hashWhileRead(source);
    for (const [name, length] of Object.entries(sizes)) {
      for (let offset = 0; offset < length; offset += 9_000_000) {
        const bytes = await reading.checkpoint.read(name, { offset, length: Math.min(9_000_000, length - offset) });
        bytes.fill(1);
      }
    }
    expect(digestsOf(await reading.hashes())).toEqual(expected);
  });

  it('has them where it is read into memory that threads share, over and over the same', async () => {
    const into = new Uint8Array(new SharedArrayBuffer(9_000_000));
    const read: Checkpoint['read'] = async (name, range) => {
      const bytes = await source.read(name, range);
      into.set(bytes);
      return into.subarray(0, bytes.length);
    };
    const reading = hashWhileRead({ ...source, read });
    for (const [name, length] of Object.entries(sizes)) {
      for (let offset = 0; offset < length; offset += 9_000_000) {
        const bytes = await reading.checkpoint.read(name, { offset, length: Math.min(9_000_000, length - offset) });
        bytes.fill(1);
      }
    }
    expect(digestsOf(await reading.hashes())).toEqual(expected);
  });

  it('throws what a read throws, when no other read is under way', async () => {
    let underWay = 0;
    const read: Checkpoint['read'] = async (name, range) => {
      underWay += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
      underWay -= 1;
      if (name === 'c' && range!.offset > 0) throw new Error('the disk is gone');
      return source.read(name, range);
    };
    await expect(hashCheckpoint({ ...source, read })).rejects.toThrow('the disk is gone');
    expect(underWay).toBe(0);
  });
});
