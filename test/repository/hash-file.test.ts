import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ByteSource, FileSource, memorySource, openCheckpoint } from '../../src/checkpoint/index.js';
import { hashCheckpoint } from '../../src/manifest/index.js';
import { labelled } from '../../src/repository/blob-reader.js';
import { hashFile } from '../../src/repository/hash-file.js';
import { fileBytes, patterned, temporaryFolder } from '../fixtures/safetensors-file.js';
import { sharedMissing, sharedModel } from '../shared.js';

const sha256 = (...parts: (string | Uint8Array)[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** A source that counts how often each byte is asked for. */
function counted(source: ByteSource): ByteSource & { asked: number } {
  const counting = {
    ...source,
    asked: 0,
    read: (offset: number, length: number) => {
      counting.asked += length;
      return source.read(offset, length);
    },
  };
  return counting;
}

describe('hashFile', () => {
  it('hashes a file and each tensor, reading every byte of the data once', async () => {
    const data = patterned(9_000_000, 3);
    // Out of name order, a tensor that spans three chunks of 4 MiB, and tensors without elements at both ends.
    const header = {
      none: { dtype: 'F32', shape: [0], data_offsets: [0, 0] },
      z: { dtype: 'U8', shape: [8_999_996], data_offsets: [0, 8_999_996] },
      a: { dtype: 'BF16', shape: [1, 2], data_offsets: [8_999_996, 9_000_000] },
      end: { dtype: 'I8', shape: [3, 0], data_offsets: [9_000_000, 9_000_000] },
    };
    const bytes = fileBytes(header, data);
    const source = counted(memorySource('m.safetensors', bytes));
    const { hashes, opaqueBecause } = await hashFile('m.safetensors', source);
    expect(opaqueBecause).toBeUndefined();
    expect(hashes).toMatchObject({
      path: 'm.safetensors',
      format: 'safetensors',
      size: bytes.length,
      sha256: sha256(bytes),
    });
    expect(hashes.tensors).toEqual([
      { name: 'a', dtype: 'BF16', shape: [1, 2], sha256: sha256('BF16\u00001,2\0', data.subarray(8_999_996)) },
      { name: 'end', dtype: 'I8', shape: [3, 0], sha256: sha256('I8\u00003,0\0') },
      { name: 'none', dtype: 'F32', shape: [0], sha256: sha256('F32\u00000\0') },
      { name: 'z', dtype: 'U8', shape: [8_999_996], sha256: sha256('U8\u00008999996\0', data.subarray(0, 8_999_996)) },
    ]);
    expect(source.asked).toBe(bytes.length);
  });

  it('says of any layout what hashing the checkpoint says', async () => {
    const folder = temporaryFolder();
    const file = path.join(folder, 'm.safetensors');
    const sizes = fc.array(fc.nat({ max: 40 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.string(), async (lengths, note) => {
        let end = 0;
        const entries = lengths.map((length, i): [string, unknown] => {
          end += length;
          return [`t${(i * 5) % 8}`, { dtype: 'U8', shape: [length], data_offsets: [end - length, end] }];
        });
        const bytes = fileBytes({ __metadata__: { note }, ...Object.fromEntries(entries) }, patterned(end, end));
        writeFileSync(file, bytes);
        const { hashes } = await hashFile('m.safetensors', memorySource('m.safetensors', bytes));
        const checkpoint = await openCheckpoint(file);
        const { tensors, weights, metadata } = await hashCheckpoint(checkpoint);
        await checkpoint.close();
        expect(hashes).toMatchObject({ sha256: sha256(bytes), weights, metadata });
        expect(hashes.tensors).toEqual([...tensors].map(([name, digest]) => ({ name, ...digest })));
      }),
      { numRuns: 100 },
    );
  });

  it.each([
    ['of no known format', 'm.onnx', Buffer.from('ONNX graph'), 'its format is not known'],
    ['that is empty', 'm.npz', Buffer.alloc(0), 'its format is not known'],
    ['that breaks its format', 'm.safetensors', fileBytes('{"a": 1}'), 'Cannot read m.safetensors'],
  ])('has nothing but the hash of the file for one %s, and says why', async (_, name, bytes, reason) => {
    const { hashes, opaqueBecause } = await hashFile(name, memorySource(name, bytes));
    expect(hashes).toEqual({ path: name, format: 'opaque', size: bytes.length, sha256: sha256(bytes) });
    expect(opaqueBecause).toContain(reason);
  });

  it('notices a file that changes while it is read', async () => {
    const file = path.join(temporaryFolder(), 'm.bin');
    writeFileSync(file, patterned(9_000_000));
    const source = await FileSource.open(file);
    const changing: ByteSource = {
      ...labelled(source, file),
      // Before the last of three reads: a change after all of them concerns nobody.
      read: (offset, length) => {
        if (offset + length === source.size) writeFileSync(file, 'other');
        return source.read(offset, length);
      },
    };
    await expect(hashFile('m.bin', changing)).rejects.toMatchObject({ code: 'unreadable', file });
    await source.close();
  });

  it('stops when it is interrupted', async () => {
    const source = memorySource('m.bin', patterned(100));
    await expect(hashFile('m.bin', source, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'interrupted',
    });
  });

  it.skipIf(sharedMissing !== undefined).each([
    ['tinystories-656k-gguf', 'gguf'],
    ['tinystories-656k-pt', 'torch'],
  ])(
    `hashes the real files of %s as the checkpoint is hashed (${sharedMissing ?? 'once and twice read'})`,
    async (model, format) => {
      const { readdirSync } = await import('node:fs');
      const names = readdirSync(sharedModel(model)).filter((name) => /\.(gguf|pt|bin)$/.test(name));
      expect(names.length).toBeGreaterThan(0);
      for (const name of names) {
        const file = path.join(sharedModel(model), name);
        const source = await FileSource.open(file);
        const { hashes } = await hashFile(name, source);
        await source.close();
        const checkpoint = await openCheckpoint(file);
        const { weights, metadata } = await hashCheckpoint(checkpoint);
        expect(hashes).toMatchObject({ format: checkpoint.format, weights, metadata });
        expect(hashes.format).toContain(format);
        await checkpoint.close();
      }
    },
  );
});
