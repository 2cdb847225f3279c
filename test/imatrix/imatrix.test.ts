import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GgufValue, GgufWriter, type TensorInfo } from '../../src/checkpoint/index.js';
import { columnWeights, type Imatrix, readImatrix, writeImatrix } from '../../src/imatrix/index.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';

const entry = (columns: number, counts: readonly number[]) => ({
  columns,
  sums: Float32Array.from({ length: columns * counts.length }, (_, i) => 0.5 + i),
  counts: Float32Array.from(counts),
});
const sample: Imatrix = {
  entries: new Map([
    ['blk.0.attn_q.weight', entry(4, [10])],
    ['blk.0.ffn_down_exps.weight', entry(3, [7, 0])],
  ]),
  datasets: ['calibration.txt'],
  chunks: 12,
  chunkSize: 256,
};

const newFile = () => path.join(temporaryFolder(), 'imatrix.gguf');

describe('an importance matrix', () => {
  it('is read as it was written', async () => {
    const file = newFile();
    await writeImatrix(file, sample);
    expect(await readImatrix(file)).toEqual(sample);
  });

  it('is written in the layout of llama.cpp: header, keys, entries by name, byte for byte', async () => {
    const file = newFile();
    await writeImatrix(file, { ...sample, entries: new Map([['a', entry(2, [3])]]) });
    const u32 = (value: number) => [value, 0, 0, 0];
    const u64 = (value: number) => [...u32(value), ...u32(0)];
    const text = (value: string) => [...u64(value.length), ...Buffer.from(value)];
    const header = [
      ...[...Buffer.from('GGUF'), ...u32(3), ...u64(2), ...u64(4)],
      ...[...text('general.type'), ...u32(8), ...text('imatrix')],
      ...[...text('imatrix.datasets'), ...u32(9), ...u32(8), ...u64(1), ...text('calibration.txt')],
      ...[...text('imatrix.chunk_count'), ...u32(4), ...u32(12)],
      ...[...text('imatrix.chunk_size'), ...u32(4), ...[0, 1, 0, 0]],
      ...[...text('a.in_sum2'), ...u32(2), ...u64(2), ...u64(1), ...u32(0), ...u64(0)],
      ...[...text('a.counts'), ...u32(2), ...u64(1), ...u64(1), ...u32(0), ...u64(32)],
    ];
    const bytes = readFileSync(file);
    expect([...bytes.subarray(0, header.length)]).toEqual(header);
    const data = Math.ceil(header.length / 32) * 32;
    expect([bytes.readFloatLE(data), bytes.readFloatLE(data + 4), bytes.readFloatLE(data + 32)]).toEqual([0.5, 1.5, 3]);
  });

  it('weighs a column by its mean square, and all columns alike where no token was seen', () => {
    expect([...columnWeights(entry(2, [10]))]).toEqual([0.5 / 10, 1.5 / 10].map(Math.fround));
    expect([...columnWeights(entry(2, [2, 0]))]).toEqual([0.25, 0.75, 1, 1]);
  });
});

/** The binary form, as llama-imatrix wrote it. */
function oldForm(
  entries: readonly (readonly [name: string, calls: number, sums: readonly number[]])[],
  end: readonly [chunks: number, dataset: string] | 'none' = [5, 'wiki.txt'],
): Buffer {
  const i32 = (value: number) => Buffer.from(Int32Array.of(value).buffer);
  const text = (value: string) => Buffer.concat([i32(Buffer.byteLength(value)), Buffer.from(value)]);
  const parts = entries.flatMap(([name, calls, sums]) => [
    text(name),
    i32(calls),
    i32(sums.length),
    Buffer.from(Float32Array.from(sums).buffer),
  ]);
  return Buffer.concat([i32(entries.length), ...parts, ...(end === 'none' ? [] : [i32(end[0]), text(end[1])])]);
}

const read = async (bytes: Uint8Array) => {
  const file = path.join(temporaryFolder(), 'imatrix.dat');
  writeFileSync(file, bytes);
  return readImatrix(file);
};

describe('the old binary form', () => {
  it('is read, with the calls as counts', async () => {
    const { entries, datasets, chunks } = await read(oldForm([['blk.0.attn_q.weight', 4, [2, 8]]]));
    expect({ datasets, chunks }).toEqual({ datasets: ['wiki.txt'], chunks: 5 });
    expect([...columnWeights(entries.get('blk.0.attn_q.weight')!)]).toEqual([0.5, 2]);
  });

  it('may end after its entries', async () => {
    const { datasets, chunks } = await read(oldForm([['a', 1, [1]]], 'none'));
    expect({ datasets, chunks }).toEqual({ datasets: [], chunks: 0 });
  });

  const one = oldForm([['a', 1, [1, 2, 3]]]);
  const changed = (at: number, value: number) => {
    const bytes = Buffer.from(one);
    bytes.writeInt32LE(value, at);
    return bytes;
  };
  it.each([
    ['nothing', Buffer.alloc(0)],
    ['no entries', oldForm([])],
    ['a negative number of entries', changed(0, -1)],
    ['more entries than it has bytes', changed(0, 100_000)],
    ['a name longer than any', changed(4, 200)],
    ['a name of two gigabytes', changed(4, 2 ** 31 - 1)],
    ['more values than it has bytes', changed(13, 2 ** 29)],
    ['a negative number of values', changed(13, -3)],
    ['no values', oldForm([['a', 1, []]])],
    [
      'the same name twice',
      oldForm([
        ['a', 1, [1]],
        ['a', 1, [1]],
      ]),
    ],
    ['a negative sum', oldForm([['a', 1, [1, -1]]])],
    ['a sum that is no number', oldForm([['a', 1, [Number.NaN]]])],
    ['bytes after its end', Buffer.concat([one, Buffer.from([0])])],
    ['a name that is not UTF-8', Buffer.concat([one.subarray(0, 8), Buffer.from([0xff]), one.subarray(9)])],
    ['safetensors', Buffer.from('\x40\0\0\0\0\0\0\0{"a":{"dtype":"F32"}}')],
  ])('is refused with %s', async (_, bytes) => {
    await expect(read(bytes)).rejects.toMatchObject({
      code: 'unreadable',
      file: expect.stringContaining('imatrix.dat'),
    });
  });

  it('is refused at once where it is larger than any', async () => {
    const file = path.join(temporaryFolder(), 'imatrix.dat');
    writeFileSync(file, one);
    truncateSync(file, 3 * 2 ** 30);
    const before = process.memoryUsage().rss;
    await expect(readImatrix(file)).rejects.toMatchObject({ code: 'unreadable', file });
    expect(process.memoryUsage().rss - before).toBeLessThan(64e6);
  });

  it('is refused wherever it is cut, and read or refused whatever a byte is', async () => {
    for (let length = 0; length < one.length; length += 1) {
      // After the entries it may end, and after the chunks.
      if (length === 29 || length === 33) continue;
      await expect(read(one.subarray(0, length)), `${length} bytes`).rejects.toMatchObject({ code: 'unreadable' });
    }
    const mutations = fc.tuple(fc.nat(one.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(mutations, async ([at, value]) => {
        const bytes = Buffer.from(one);
        bytes[at] = value;
        const result = await read(bytes).then(
          ({ entries }) => entries.size > 0,
          (error: { code?: string }) => error.code === 'unreadable',
        );
        expect(result).toBe(true);
      }),
      { numRuns: 150, seed: 11 },
    );
  });
});

describe('a GGUF that is no importance matrix', () => {
  const write = async (metadata: Record<string, GgufValue>, tensors: Record<string, readonly number[]>) => {
    const file = newFile();
    const infos = Object.entries(tensors).map(
      ([name, values]): TensorInfo => ({ name, dtype: 'F32', shape: [values.length], byteLength: 4 * values.length }),
    );
    const writer = await GgufWriter.create(file, new Map(Object.entries(metadata)), infos);
    for (const [name, values] of Object.entries(tensors)) {
      await writer.write(name, 0, new Uint8Array(Float32Array.from(values).buffer));
    }
    await writer.commit();
    return file;
  };
  const imatrix = { 'general.type': { type: 'string', value: 'imatrix' } } as const;

  it.each([
    ['a model', { 'general.type': { type: 'string', value: 'model' } } as const, { 'a.in_sum2': [1], 'a.counts': [1] }],
    ['no type', {}, { 'a.in_sum2': [1], 'a.counts': [1] }],
    ['no sums', imatrix, { 'a.counts': [1] }],
    ['no counts', imatrix, { 'a.in_sum2': [1] }],
    ['counts that do not divide the sums', imatrix, { 'a.in_sum2': [1, 2, 3], 'a.counts': [1, 2] }],
    ['a negative sum', imatrix, { 'a.in_sum2': [1, -2], 'a.counts': [1] }],
    ['an infinite count', imatrix, { 'a.in_sum2': [1, 2], 'a.counts': [Infinity] }],
  ])('is refused: %s', async (_, metadata, tensors) => {
    const file = await write(metadata, tensors);
    await expect(readImatrix(file)).rejects.toMatchObject({ code: 'unreadable', file });
  });

  it('leaves nothing when it cannot be written', async () => {
    const folder = temporaryFolder();
    const long = 'a'.repeat(80);
    const entries = new Map([[long, entry(1, [1])]]);
    await expect(writeImatrix(path.join(folder, 'i.gguf'), { ...sample, entries })).rejects.toMatchObject({
      code: 'unsupported',
    });
    expect(readdirSync(folder)).toEqual([]);
  });
});
