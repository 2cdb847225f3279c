import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/index.js';
import { hashCheckpoint, hashWhileRead } from '../../src/manifest/index.js';
import { memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 37) % 251);
const source = memoryCheckpoint({
  a: { dtype: 'U8', shape: [1000], bytes: bytes(1000) },
  b: { dtype: 'F16', shape: [4, 50], bytes: bytes(400) },
  none: { dtype: 'F32', shape: [0], bytes: bytes(0) },
});

/** Names of the tensors that were read, a time each. */
function counted(): { checkpoint: Checkpoint; reads: string[] } {
  const reads: string[] = [];
  const read: Checkpoint['read'] = (name, range) => {
    reads.push(name);
    return source.read(name, range);
  };
  return { checkpoint: { ...source, read }, reads };
}

describe('a checkpoint that is hashed while it is read', () => {
  it('has the hashes of its bytes, and is not read again where they came in order', async () => {
    const { checkpoint, reads } = counted();
    const reading = hashWhileRead(checkpoint);
    for (let offset = 0; offset < 1000; offset += 300) {
      const length = Math.min(300, 1000 - offset);
      const got = await reading.checkpoint.read('a', { offset, length });
      expect(got).toEqual(bytes(1000).subarray(offset, offset + length));
      // What the reader does with its bytes is its own affair.
      got.fill(0);
    }
    await reading.checkpoint.read('b');
    reads.length = 0;
    expect(await reading.hashes()).toEqual(await hashCheckpoint(source));
    expect(reads).toEqual([]);
  });

  it.each([
    ['not at all', []],
    ['in part', [[0, 300]]],
    [
      'with a gap',
      [
        [0, 300],
        [400, 600],
      ],
    ],
    [
      'backwards',
      [
        [500, 500],
        [0, 500],
      ],
    ],
    ['from the middle', [[500, 500]]],
    [
      'twice over',
      [
        [0, 600],
        [0, 600],
        [600, 400],
      ],
    ],
  ] as const)('has the same hashes where a tensor was read %s', async (_, ranges) => {
    const { checkpoint } = counted();
    const reading = hashWhileRead(checkpoint);
    for (const [offset, length] of ranges) await reading.checkpoint.read('a', { offset, length });
    expect(await reading.hashes()).toEqual(await hashCheckpoint(source));
  });

  const parts = [0, 300, 600, 900].map((offset) => ({ offset, length: Math.min(300, 1000 - offset) }));

  it('has the hashes of reads that are under way side by side, in whatever order they end', async () => {
    const { checkpoint, reads } = counted();
    const late: Checkpoint['read'] = async (name, range) => {
      const bytes = await checkpoint.read(name, range);
      await new Promise((resolve) => setTimeout(resolve, 20 - (range?.offset ?? 0) / 50));
      return bytes;
    };
    const reading = hashWhileRead({ ...checkpoint, read: late });
    const got = await Promise.all(parts.map((range) => reading.checkpoint.read('a', range)));
    expect(Buffer.concat(got).equals(bytes(1000))).toBe(true);
    await reading.checkpoint.read('b');
    reads.length = 0;
    expect(await reading.hashes()).toEqual(await hashCheckpoint(source));
    expect(reads).toEqual([]);
  });

  it('reads a tensor again of which a read failed, and tells only the one who asked for it', async () => {
    const { checkpoint, reads } = counted();
    let failures = 0;
    const failing: Checkpoint['read'] = async (name, range) => {
      if (range?.offset === 300 && failures++ === 0) throw new Error('the disk is gone');
      return checkpoint.read(name, range);
    };
    const reading = hashWhileRead({ ...checkpoint, read: failing });
    const ends = await Promise.allSettled(parts.map((range) => reading.checkpoint.read('a', range)));
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    reads.length = 0;
    expect(await reading.hashes()).toEqual(await hashCheckpoint(source));
    expect(reads).toContain('a');
  });

  it('finds what another reading of it gives', async () => {
    const changed = bytes(1000).fill(7, 500, 501);
    const reading = hashWhileRead({ ...source, read: async (name) => (name === 'a' ? changed.slice() : bytes(400)) });
    await reading.checkpoint.read('a');
    const { tensors } = await reading.hashes();
    const honest = await hashCheckpoint(source);
    expect(tensors.get('a')!.sha256).not.toBe(honest.tensors.get('a')!.sha256);
  });
});
