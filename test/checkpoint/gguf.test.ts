import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type Checkpoint,
  type GgufArray,
  GgufWriter,
  ggufMetadata,
  openCheckpoint,
  readFloats,
} from '../../src/checkpoint/index.js';
import { diffCheckpoints, hashCheckpoint } from '../../src/manifest/index.js';
import { array, entry, f32, type GgufParts, ggufBytes, pair, text, u8, u32, u64 } from '../fixtures/gguf-file.js';
import { patterned, temporaryFolder } from '../fixtures/safetensors-file.js';
import { sharedMissing, sharedModel } from '../shared.js';

function open(bytes: Uint8Array, name = 'model.gguf'): Promise<Checkpoint> {
  const file = path.join(temporaryFolder(), name);
  writeFileSync(file, bytes);
  return openCheckpoint(file);
}

async function metadataOf(...pairs: readonly Uint8Array[]) {
  const checkpoint = await open(ggufBytes({ pairs }));
  await checkpoint.close();
  return { typed: ggufMetadata(checkpoint)!, texts: checkpoint.metadata };
}

const bytesOf = (view: ArrayBufferView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength);

describe('metadata', () => {
  it('keeps every type of value', async () => {
    const { typed, texts } = await metadataOf(
      pair('u8', 'u8', u8(255)),
      pair('i8', 'i8', u8(0x80)),
      pair('u16', 'u16', Buffer.of(0xff, 0xff)),
      pair('i16', 'i16', Buffer.of(0x00, 0x80)),
      pair('u32', 'u32', u32(2 ** 32 - 1)),
      pair('i32', 'i32', bytesOf(Int32Array.of(-(2 ** 31)))),
      pair('f32', 'f32', f32(1e-5)),
      pair('bool', 'bool', u8(1)),
      pair('string', 'string', text('ein Text, 文')),
      pair('u64', 'u64', u64(2n ** 64n - 1n)),
      pair('i64', 'i64', bytesOf(BigInt64Array.of(-(2n ** 63n)))),
      pair('f64', 'f64', bytesOf(Float64Array.of(0.1))),
    );
    expect(Object.fromEntries([...typed].map(([key, value]) => [key, (value as { value: unknown }).value]))).toEqual({
      u8: 255,
      i8: -128,
      u16: 65_535,
      i16: -32_768,
      u32: 4_294_967_295,
      i32: -2_147_483_648,
      f32: Math.fround(1e-5),
      bool: true,
      string: 'ein Text, 文',
      u64: 18_446_744_073_709_551_615n,
      i64: -9_223_372_036_854_775_808n,
      f64: 0.1,
    });
    for (const [key, { type }] of typed) expect(type).toBe(key);
    expect(texts).toMatchObject({
      f32: 'f32:0.00001',
      f64: 'f64:0.1',
      i64: 'i64:-9223372036854775808',
      bool: 'bool:true',
    });
  });

  it('keeps arrays of every type, nested ones and empty ones', async () => {
    const { typed } = await metadataOf(
      pair('u16', 'array', array('u16', [Buffer.of(1, 2), Buffer.of(3, 0)])),
      pair('i8', 'array', array('i8', [u8(0xff)])),
      pair('f64', 'array', array('f64', [bytesOf(Float64Array.of(-0.5, 2))], 2)),
      pair('u64', 'array', array('u64', [u64(2n ** 63n)])),
      pair('bool', 'array', array('bool', [u8(1), u8(0)])),
      pair('string', 'array', array('string', [text('a'), text(''), text('▁b')])),
      pair('empty', 'array', array('string', [])),
      pair('nested', 'array', array('array', [array('u8', [u8(7)]), array('array', [array('string', [text('x')])])])),
    );
    const values = (key: string) => [...Array.from((typed.get(key) as GgufArray).values as ArrayLike<unknown>)];
    expect(values('u16')).toEqual([0x0201, 3]);
    expect(values('i8')).toEqual([-1]);
    expect(values('f64')).toEqual([-0.5, 2]);
    expect(values('u64')).toEqual([2n ** 63n]);
    expect(values('bool')).toEqual([true, false]);
    expect(values('string')).toEqual(['a', '', '▁b']);
    expect(values('empty')).toEqual([]);
    const [first, second] = values('nested') as [GgufArray, GgufArray];
    expect([first.of, ...Array.from(first.values as ArrayLike<number>)]).toEqual(['u8', 7]);
    expect((second.values[0] as GgufArray).values).toEqual(['x']);
  });

  it('says a long array by its length and digest, in which every element counts', async () => {
    const tokens = Array.from({ length: 300 }, (_, i) => text(`token ${i}`));
    const digest = createHash('sha256').update(Buffer.concat(tokens)).digest('hex');
    const { texts } = await metadataOf(pair('tokens', 'array', array('string', tokens)));
    expect(texts).toEqual({ tokens: `string[300]:sha256:${digest}` });
    tokens[299] = text('token x');
    const other = await metadataOf(pair('tokens', 'array', array('string', tokens)));
    expect(other.texts).not.toEqual(texts);
  });

  it('tells values of different types, and texts that look like values, apart', async () => {
    const { texts } = await metadataOf(
      pair('a', 'u32', u32(1)),
      pair('b', 'i32', u32(1)),
      pair('c', 'string', text('u32:1')),
      pair('d', 'array', array('u32', [u32(1)])),
      pair('e', 'string', text('u32[1]:1')),
      pair('f', 'string', text('string:u32:1')),
      pair('g', 'array', array('array', [array('u32', [u32(1)])])),
      pair('h', 'f32', f32(-0)),
      pair('i', 'f32', f32(0)),
    );
    expect(new Set(Object.values(texts)).size).toBe(9);
  });

  it('may have keys that objects have already', async () => {
    const { texts } = await metadataOf(pair('__proto__', 'u8', u8(1)), pair('constructor', 'u8', u8(2)));
    expect(Object.entries(texts)).toEqual([
      ['__proto__', 'u8:1'],
      ['constructor', 'u8:2'],
    ]);
    expect(({} as Record<string, unknown>)['u8:1']).toBeUndefined();
  });
});

describe('tensors', () => {
  const two: GgufParts = {
    entries: [
      entry({ name: 'w', ne: [3, 2] }),
      entry({ name: 'b', ne: [5], type: 24, offset: 32 }),
      entry({ name: 'nothing', ne: [0], offset: 64 }),
      entry({ name: 'scalar', ne: [], offset: 64 }),
    ],
    data: Buffer.from(Float32Array.from({ length: 24 }, (_, i) => i).buffer),
  };

  it('have shapes of rows first, and bytes of their own', async () => {
    const checkpoint = await open(ggufBytes(two));
    expect([...checkpoint.tensors.values()]).toEqual([
      { name: 'b', dtype: 'I8', shape: [5], byteLength: 5 },
      { name: 'nothing', dtype: 'F32', shape: [0], byteLength: 0 },
      { name: 'scalar', dtype: 'F32', shape: [], byteLength: 4 },
      { name: 'w', dtype: 'F32', shape: [2, 3], byteLength: 24 },
    ]);
    expect([...(await readFloats(checkpoint, 'w', { start: 1, count: 1 }))]).toEqual([3, 4, 5]);
    expect([...(await readFloats(checkpoint, 'scalar'))]).toEqual([16]);
    await expect(checkpoint.read('v')).rejects.toMatchObject({ code: 'unreadable', tensor: 'v' });
    await expect(checkpoint.read('b', { offset: 4, length: 2 })).rejects.toThrow(RangeError);
    await checkpoint.close();
  });

  it('are read from version 2 as from version 3, and under any name of the file', async () => {
    const checkpoint = await open(ggufBytes({ ...two, version: 2 }), 'model.dat');
    expect(checkpoint.format).toBe('gguf');
    expect(checkpoint.tensors.size).toBe(4);
    await checkpoint.close();
  });

  it.each([8, 64, 65_536])('lie at multiples of general.alignment, %i', async (alignment) => {
    const entries = [entry({ name: 'a', ne: [1] }), entry({ name: 'b', ne: [1], offset: alignment })];
    const data = new Uint8Array(alignment + 4);
    data.set(new Uint8Array(Float32Array.of(7).buffer), alignment);
    const pairs = [pair('general.alignment', 'u32', u32(alignment))];
    const checkpoint = await open(ggufBytes({ pairs, entries, alignment, data }));
    expect([...(await readFloats(checkpoint, 'b'))]).toEqual([7]);
    await checkpoint.close();
  });

  it('may all be missing: a vocabulary alone is a file', async () => {
    const checkpoint = await open(ggufBytes({ pairs: [pair('a', 'u8', u8(1))] }));
    expect(checkpoint.tensors.size).toBe(0);
    await checkpoint.close();
  });

  it('of block types have whole blocks, also in hashes and diffs', async () => {
    const blocks = patterned(2 * 210);
    const file = (bytes: Uint8Array) =>
      ggufBytes({ entries: [entry({ name: 'q', ne: [256, 2], type: 14 })], data: bytes });
    const [before, after] = [await open(file(blocks)), await open(file(blocks.with(0, blocks[0]! ^ 1)))];
    expect(before.tensors.get('q')).toMatchObject({ dtype: 'Q6_K', shape: [2, 256], byteLength: 420 });
    const digest = createHash('sha256').update('Q6_K\0').update('2,256\0').update(blocks).digest('hex');
    expect((await hashCheckpoint(before)).tensors.get('q')?.sha256).toBe(digest);
    const { values } = await diffCheckpoints(before, after);
    expect(values).toMatchObject({ elements: 512, changed: 1 });
    await before.close();
    await after.close();
  });
});

describe.skipIf(sharedMissing)(`real files${sharedMissing ? ` (${sharedMissing})` : ''}`, () => {
  it.each([
    ['novels-5m-gguf', 'novels-5m-f16.gguf', 56],
    ['stories260k-gguf', 'stories260Ktok512.gguf', 48],
    ['tinystories-656k-gguf', 'tinystories-656k-f16.gguf', 20],
  ])('%s is written again byte for byte', async (folder, name, tensors) => {
    const original = path.join(sharedModel(folder), name);
    const checkpoint = await openCheckpoint(original);
    expect(checkpoint.tensors.size).toBe(tensors);
    const inFileOrder = namesInFileOrder(original, checkpoint);
    const copy = path.join(temporaryFolder(), name);
    const infos = inFileOrder.map((tensor) => checkpoint.tensors.get(tensor)!);
    const writer = await GgufWriter.create(copy, ggufMetadata(checkpoint)!, infos);
    for (const tensor of inFileOrder) await writer.write(tensor, 0, await checkpoint.read(tensor));
    await writer.commit();
    await checkpoint.close();
    expect(readFileSync(copy).equals(readFileSync(original))).toBe(true);
  });
});

/** Every tensor's name is in the header with its length before it, and nowhere earlier than its entry. */
function namesInFileOrder(file: string, checkpoint: Checkpoint): string[] {
  const bytes = readFileSync(file);
  const places = new Map([...checkpoint.tensors.keys()].map((name) => [name, bytes.indexOf(text(name))]));
  return [...places.keys()].sort((left, right) => places.get(left)! - places.get(right)!);
}
