import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { chunksOf, openCheckpoint, readFloats } from '../../src/checkpoint/index.js';
import { tensorOf } from '../../src/checkpoint/reading.js';
import { fileBytes, patterned, temporaryFolder, u8 } from '../fixtures/safetensors-file.js';
import { sharedMissing, sharedModel } from '../shared.js';

async function opened(header: Record<string, unknown>, data: Uint8Array) {
  const file = path.join(temporaryFolder(), 'model.safetensors');
  writeFileSync(file, fileBytes(header, data));
  return openCheckpoint(file);
}

/** Every chunk of a tensor. */
async function chunkLengths(header: Record<string, unknown>, data: Uint8Array, chunkBytes: number): Promise<number[]> {
  const checkpoint = await opened(header, data);
  const chunks: Uint8Array[] = [];
  for await (const chunk of chunksOf(checkpoint, 'w', chunkBytes)) chunks.push(chunk);
  await checkpoint.close();
  expect(Buffer.concat(chunks)).toEqual(Buffer.from(data));
  return chunks.map(({ length }) => length);
}

describe('aliases', () => {
  const metadata = { format: 'a', tied: 'a', chained: 'tied', a: 'b', missing: 'nothing' };

  it('are the metadata keys that are no tensors and whose values are', async () => {
    const checkpoint = await opened({ __metadata__: metadata, a: u8(0, 4), b: u8(4, 6) }, patterned(6));
    expect([...checkpoint.aliases]).toEqual([['tied', 'a']]);
    expect(checkpoint.metadata).toEqual(metadata);
    expect([...checkpoint.tensors.keys()]).toEqual(['a', 'b']);
    await checkpoint.close();
  });

  it('read as the tensor that they mean, in all ways of reading', async () => {
    const checkpoint = await opened({ __metadata__: metadata, a: u8(0, 4), b: u8(4, 6) }, patterned(6));
    const bytes = patterned(6).slice(0, 4);
    expect(await checkpoint.read('tied')).toEqual(bytes);
    expect(await checkpoint.read('tied', { offset: 1, length: 2 })).toEqual(bytes.slice(1, 3));
    expect(await readFloats(checkpoint, 'tied')).toEqual(Float32Array.from(bytes));
    expect((await chunksOf(checkpoint, 'tied').next()).value).toEqual(bytes);
    expect(tensorOf(checkpoint, 'tied').name).toBe('a');
    await checkpoint.close();
  });
});

describe('reading', () => {
  it('refuses a name that is not stored, and says where names are listed', async () => {
    const checkpoint = await opened({ a: u8(0, 4) }, patterned(4));
    for (const read of [
      () => checkpoint.read('b'),
      () => readFloats(checkpoint, 'b'),
      () => chunksOf(checkpoint, 'b').next(),
    ]) {
      await expect(read()).rejects.toMatchObject({
        code: 'unreadable',
        tensor: 'b',
        file: checkpoint.path,
        suggestions: [expect.stringContaining('--tensors')],
      });
    }
    await checkpoint.close();
  });

  it.each([
    [-1, 2],
    [0, 5],
    [4, 1],
    [0.5, 1],
    [0, -1],
    [Number.NaN, 1],
    [0, Number.MAX_SAFE_INTEGER],
  ])('refuses the range %d + %d of four bytes, which would be a neighbour’s', async (offset, length) => {
    const checkpoint = await opened({ a: u8(0, 4), b: u8(4, 8) }, patterned(8));
    await expect(checkpoint.read('a', { offset, length })).rejects.toThrow(RangeError);
    await checkpoint.close();
  });

  it('gives each read an array of its own', async () => {
    const checkpoint = await opened({ a: u8(0, 4) }, patterned(4));
    (await checkpoint.read('a')).fill(0);
    expect(await checkpoint.read('a')).toEqual(patterned(4));
    await checkpoint.close();
  });
});

describe('chunksOf', () => {
  const w = (dtype: string, shape: number[], bytes: number) => ({ w: { dtype, shape, data_offsets: [0, bytes] } });

  it.each([
    ['F32', [5], 20, 7, [4, 4, 4, 4, 4]],
    ['F32', [5], 20, 8, [8, 8, 4]],
    ['F32', [5], 20, 1, [4, 4, 4, 4, 4]],
    ['F32', [5], 20, 1000, [20]],
    ['BF16', [5], 10, 5, [4, 4, 2]],
    ['F4', [10], 5, 2, [2, 2, 1]],
    ['F6_E3M2', [12], 9, 4, [3, 3, 3]],
    ['F6_E3M2', [12], 9, 7, [6, 3]],
    ['C64', [2], 16, 12, [8, 8]],
    ['U8', [0], 0, 8, []],
    ['F32', [], 4, 8, [4]],
  ])(
    'cuts %s %j of %d bytes into chunks of up to %d without splitting an element',
    async (dtype, shape, bytes, chunkBytes, lengths) => {
      expect(await chunkLengths(w(dtype, shape, bytes), patterned(bytes), chunkBytes)).toEqual(lengths);
    },
  );
});

describe('readFloats', () => {
  it('reads rows of the leading dimension, of any rank', async () => {
    const values = Float32Array.from({ length: 24 }, (_, i) => i - 3.5);
    const header = { w: { dtype: 'F32', shape: [4, 3, 2], data_offsets: [0, 96] } };
    const checkpoint = await opened(header, new Uint8Array(values.buffer));
    expect(await readFloats(checkpoint, 'w')).toEqual(values);
    expect(await readFloats(checkpoint, 'w', { start: 1, count: 2 })).toEqual(values.slice(6, 18));
    expect(await readFloats(checkpoint, 'w', { start: 4, count: 0 })).toHaveLength(0);
    await expect(readFloats(checkpoint, 'w', { start: 3, count: 2 })).rejects.toThrow(RangeError);
    await expect(readFloats(checkpoint, 'w', { start: -1, count: 1 })).rejects.toThrow(RangeError);
    await expect(readFloats(checkpoint, 'w', { start: 0.5, count: 1 })).rejects.toThrow(RangeError);
    await checkpoint.close();
  });

  it('reads a scalar, which has no rows', async () => {
    const header = { w: { dtype: 'F32', shape: [], data_offsets: [0, 4] } };
    const checkpoint = await opened(header, new Uint8Array(Float32Array.of(2.5).buffer));
    expect(await readFloats(checkpoint, 'w')).toEqual(Float32Array.of(2.5));
    await expect(readFloats(checkpoint, 'w', { start: 0, count: 1 })).rejects.toThrow(RangeError);
    await checkpoint.close();
  });

  it('widens a tensor larger than a chunk', async () => {
    // 3 chunks of 8 MiB: each BF16 value is the top half of a float32.
    const count = 10 * 1024 * 1024;
    const codes = Uint16Array.from({ length: count }, (_, i) => i % 0x7f00);
    const header = { w: { dtype: 'BF16', shape: [count], data_offsets: [0, count * 2] } };
    const checkpoint = await opened(header, new Uint8Array(codes.buffer));
    const bits = new Uint32Array((await readFloats(checkpoint, 'w')).buffer);
    let wrong = 0;
    for (let i = 0; i < count; i += 1) if (bits[i] !== codes[i]! * 0x10000) wrong += 1;
    expect(wrong).toBe(0);
    await checkpoint.close();
  });

  it('refuses element types without float values', async () => {
    const header = { w: { dtype: 'F4', shape: [2], data_offsets: [0, 1] } };
    const checkpoint = await opened(header, patterned(1));
    await expect(readFloats(checkpoint, 'w')).rejects.toMatchObject({ code: 'unsupported' });
    await checkpoint.close();
  });
});

describe('opening', () => {
  it.each([
    [
      'with weights of TensorFlow',
      ['tf_model.h5', 'config.json'],
      'unsupported',
      '"tf_model.h5"',
      'Convert it to safetensors',
    ],
    ['with two GGUF files', ['model-q4.gguf', 'model-q8.gguf'], 'unsupported', '"model-q4.gguf"', 'Name the file'],
    [
      'with weights under two other names',
      ['a.pt', 'b.safetensors'],
      'unsupported',
      '"b.safetensors"',
      'Name the file',
    ],
    ['with no weights', ['config.json'], 'unreadable', 'no weights', 'Convert it to safetensors'],
  ])('refuses a folder %s, saying what it has and what is allowed', async (_, names, code, has, suggestion) => {
    const folder = temporaryFolder();
    for (const name of names) writeFileSync(path.join(folder, name), '');
    await expect(openCheckpoint(folder)).rejects.toMatchObject({
      code,
      file: folder,
      message: expect.stringMatching(
        new RegExp(`${has}.*needs one of model.safetensors, model.safetensors.index.json, pytorch`),
      ),
      suggestions: [expect.stringContaining(suggestion)],
    });
  });

  it('takes model.safetensors before an index, as transformers does', async () => {
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, 'model.safetensors'), fileBytes({ a: u8(0, 4) }, 4));
    writeFileSync(path.join(folder, 'model.safetensors.index.json'), 'broken');
    const checkpoint = await openCheckpoint(folder);
    expect(checkpoint).toMatchObject({ path: folder, format: 'safetensors' });
    await checkpoint.close();
  });

  it('knows a safetensors file by its first bytes when it has another name', async () => {
    const file = path.join(temporaryFolder(), '5f3a9c');
    writeFileSync(file, fileBytes({ a: u8(0, 4) }, patterned(4)));
    const checkpoint = await openCheckpoint(file);
    expect(await checkpoint.read('a')).toEqual(patterned(4));
    await checkpoint.close();
  });

  it('refuses a file of no known format', async () => {
    const file = path.join(temporaryFolder(), 'weights.dat');
    writeFileSync(file, 'OggS and more bytes');
    await expect(openCheckpoint(file)).rejects.toMatchObject({ code: 'unsupported', file });
  });
});

describe.skipIf(sharedMissing)(`real checkpoints${sharedMissing ? ` (${sharedMissing})` : ''}`, () => {
  it.each(['tinystories-656k', 'novels-5m', 'stories260k', 'retsim'])(
    'of %s have the bytes that the header says',
    async (name) => {
      const folder = sharedModel(name);
      const bytes = readFileSync(path.join(folder, 'model.safetensors'));
      const dataStart = 8 + Number(bytes.readBigUInt64LE());
      const { __metadata__: _, ...entries } = JSON.parse(bytes.subarray(8, dataStart).toString()) as Record<
        string,
        { dtype: string; shape: number[]; data_offsets: [number, number] }
      >;
      const checkpoint = await openCheckpoint(folder);
      expect([...checkpoint.tensors.keys()]).toEqual(Object.keys(entries).sort());
      for (const [
        tensor,
        {
          dtype,
          shape,
          data_offsets: [begin, end],
        },
      ] of Object.entries(entries)) {
        expect(checkpoint.tensors.get(tensor)).toEqual({ name: tensor, dtype, shape, byteLength: end - begin });
        expect(bytes.compare(await checkpoint.read(tensor), 0, end - begin, dataStart + begin, dataStart + end)).toBe(
          0,
        );
      }
      await checkpoint.close();
    },
  );

  it('of tinystories-656k tie the embedding to the head', async () => {
    const checkpoint = await openCheckpoint(sharedModel('tinystories-656k'));
    expect([...checkpoint.aliases]).toEqual([['model.embed_tokens.weight', 'lm_head.weight']]);
    const [tied, stored] = [
      await checkpoint.read('model.embed_tokens.weight'),
      await checkpoint.read('lm_head.weight'),
    ];
    expect(Buffer.compare(tied, stored)).toBe(0);
    await checkpoint.close();
  });
});
