import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeltaReader } from '../../src/store/delta/delta-reader.js';
import { DeltaWriter } from '../../src/store/delta/delta-writer.js';
import { CHUNK_ELEMENTS, type DeltaHeader, type DeltaKind, writeHead } from '../../src/store/delta/format.js';
import { packStream } from '../../src/store/delta/stream.js';
import { ObjectStore } from '../../src/store/index.js';
import type { Dtype } from '../../src/tensor/index.js';

const DIGESTS = { before: 'b'.repeat(64), after: 'a'.repeat(64) };

const sourceOf = (bytes: Uint8Array) => ({
  path: 'the delta',
  size: bytes.length,
  read: async (offset: number, length: number) => new Uint8Array(bytes.subarray(offset, offset + length)),
});

/** A delta put together by hand: each stream as it is given. */
function assemble(
  header: Omit<DeltaHeader, 'before' | 'after'>,
  streams: readonly { encoding: 'zeros' | 'raw' | 'deflate'; bytes: Uint8Array; claims?: number }[],
): Buffer {
  const table = streams.map(({ encoding, bytes, claims }) => ({ encoding, length: claims ?? bytes.length }));
  return Buffer.concat([writeHead({ ...header, ...DIGESTS }, table), ...streams.map(({ bytes }) => bytes)]);
}

const raw = (...bytes: number[]) => ({ encoding: 'raw' as const, bytes: Uint8Array.from(bytes) });
const open = (bytes: Uint8Array) => DeltaReader.open(sourceOf(bytes));

describe('a delta', () => {
  it('is laid out as the format says, byte for byte', async () => {
    // Three F16 elements, of which the second (0x3c01) is removed: bits 0b010, low bytes 01, high bytes 3c.
    const bytes = assemble({ kind: 'mask', dtype: 'F16', shape: [3] }, [raw(2), raw(1), raw(0x3c)]);
    const json = `{"after":"${'a'.repeat(64)}","before":"${'b'.repeat(64)}","dtype":"F16","kind":"mask","shape":[3]}`;
    const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
    const expected = Buffer.concat([
      Buffer.from('bbdelta\0'),
      u32(1),
      u32(json.length),
      Buffer.from(json),
      ...[1, 2, 3].flatMap(() => [u32(1), u32(1)]),
      Buffer.from([2, 1, 0x3c]),
    ]);
    expect(bytes).toEqual(expected);
    const delta = await open(bytes);
    expect(delta.header).toEqual({ kind: 'mask', dtype: 'F16', shape: [3], ...DIGESTS });
    expect(await delta.removedBits(0)).toEqual(Uint8Array.of(2));
    expect(await delta.difference(0)).toEqual(Uint8Array.of(0, 0, 1, 0x3c, 0, 0));
  });

  it('has the planes of all elements where it is an xor, and one plane where elements are not whole bytes', async () => {
    const xor = await open(assemble({ kind: 'xor', dtype: 'F16', shape: [2] }, [raw(1, 2), raw(3, 4)]));
    expect(await xor.difference(0)).toEqual(Uint8Array.of(1, 3, 2, 4));
    const nibbles = await open(assemble({ kind: 'whole', dtype: 'F4', shape: [2, 2] }, [raw(0x12, 0x34)]));
    expect(await nibbles.values(0)).toEqual(Uint8Array.of(0x12, 0x34));
    await expect(nibbles.difference(0)).rejects.toThrow(RangeError);
  });

  it('has no chunks where there are no elements', async () => {
    const empty = await open(assemble({ kind: 'mask', dtype: 'F32', shape: [0, 7] }, []));
    expect(empty.geometry.chunks).toBe(0);
    await empty.readAll();
  });
});

describe('a delta that is not as it should be', () => {
  const sound = () => assemble({ kind: 'mask', dtype: 'F16', shape: [3] }, [raw(2), raw(1), raw(0x3c)]);
  const head = (change: (json: string) => string) => {
    const bytes = sound();
    const length = bytes.readUInt32LE(12);
    const json = Buffer.from(change(bytes.subarray(16, 16 + length).toString()));
    const preamble = Buffer.from(bytes.subarray(0, 16));
    preamble.writeUInt32LE(json.length, 12);
    return Buffer.concat([preamble, json, bytes.subarray(16 + length)]);
  };
  const set = (at: number, value: number) => {
    const bytes = sound();
    bytes.writeUInt32LE(value, at);
    return bytes;
  };
  const tableAt = 16 + sound().readUInt32LE(12);

  it.each<[string, Buffer, RegExp]>([
    ['empty', Buffer.alloc(0), /0 bytes/],
    ['another file', Buffer.from('{"tensors":[],"version":1}'), /begin as a delta/],
    ['a newer version', set(8, 3), /version 3/],
    ['a version without its kind', set(8, 2), /version 2 has no delta/],
    ['a header longer than any', set(12, 2 ** 31), /header has 2147483648/],
    ['a header longer than the file', set(12, 4000), /should have at least/],
    ['a header that is no JSON', head(() => '{'), /header is damaged/],
    ['a header with a key twice', head((json) => json.replace('{', '{"kind":"xor",')), /header is damaged/],
    ['a header with one key more', head((json) => json.replace(/}$/, ',"z":1}')), /header is damaged/],
    ['an unknown type', head((json) => json.replace('F16', 'F17')), /header is damaged/],
    ['a type from the prototype', head((json) => json.replace('F16', 'toString')), /header is damaged/],
    ['a negative shape', head((json) => json.replace('[3]', '[-3]')), /header is damaged/],
    ['more elements than can be counted', head((json) => json.replace('[3]', '[9007199254740991,8]')), /too many/],
    ['more elements than its table', head((json) => json.replace('[3]', '[3000000]')), /should have at least|unknown/],
    ['a table larger than any', head((json) => json.replace('[3]', '[9007199254740]')), /table would have/],
    ['a mask over half bytes', head((json) => json.replace('F16', 'F4').replace('[3]', '[2]')), /4 bits/],
    ['an unknown encoding', set(tableAt, 3), /unknown encoding/],
    ['a stream beyond the end', set(tableAt + 4, 9), /streams end/],
    ['a byte too many', Buffer.concat([sound(), Buffer.of(0)]), /streams end/],
    ['a byte too few', sound().subarray(0, -1), /streams end/],
  ])('%s', async (_, bytes, says) => {
    await expect(open(bytes)).rejects.toMatchObject({ code: 'unreadable', file: 'the delta' });
    await expect(open(bytes)).rejects.toThrow(says);
  });

  const bomb = deflateRawSync(Buffer.alloc(64 * 2 ** 20));
  const short = deflateRawSync(Buffer.alloc(500));
  const deflate = (bytes: Uint8Array) => ({ encoding: 'deflate' as const, bytes });
  const zeros = (...bytes: number[]) => ({ encoding: 'zeros' as const, bytes: Uint8Array.from(bytes) });
  it.each<[string, number, Parameters<typeof assemble>[1], RegExp]>([
    ['bits beyond the last element', 3, [raw(8), raw(), raw()], /beyond the last/],
    ['fewer values than bits', 3, [raw(3), raw(1), raw(2)], /1 bytes \(raw\) for 2/],
    ['zeros with bytes', 8, [zeros(0), zeros(), zeros()], /1 bytes \(zeros\)/],
    ['values where nothing is removed', 8, [zeros(), raw(1), zeros()], /1 bytes \(raw\) for 0/],
    ['a stream that inflates to more', 8 * 2 ** 17, [deflate(bomb), zeros(), zeros()], /does not inflate/],
    ['a stream that inflates to less', 8 * 501, [deflate(short), zeros(), zeros()], /inflate to 500, not 501/],
    [
      'bytes after the deflated ones',
      8 * 500,
      [deflate(Buffer.concat([short, Buffer.of(7)])), zeros(), zeros()],
      /of its/,
    ],
    [
      'a stream that is not deflated',
      8 * 500,
      [deflate(Buffer.from('not deflated')), zeros(), zeros()],
      /does not inflate/,
    ],
    [
      'a deflated stream that is not shorter',
      24,
      [deflate(Buffer.alloc(9)), zeros(), zeros()],
      /9 bytes \(deflate\) for 3/,
    ],
  ])('%s', async (_, elements, streams, says) => {
    const delta = await open(assemble({ kind: 'mask', dtype: 'F16', shape: [elements] }, streams));
    await expect(delta.readAll()).rejects.toMatchObject({ code: 'unreadable', file: 'the delta' });
    await expect(delta.readAll()).rejects.toThrow(says);
  });
});

describe('packStream', () => {
  const random = (length: number, density: number) => {
    // A linear congruential generator: bits of a known density, the same on each run.
    let state = 1;
    const next = () => {
      state = (state * 1664525 + 1013904223) % 2 ** 32;
      return state / 2 ** 32;
    };
    const bytes = new Uint8Array(length);
    for (let bit = 0; bit < length * 8; bit += 1) if (next() < density) bytes[bit >>> 3]! |= 1 << (bit & 7);
    return bytes;
  };
  const entropy = (p: number) => -(p * Math.log2(p) + (1 - p) * Math.log2(1 - p));

  it('stores zeros as nothing, and bytes without a pattern as they are', async () => {
    expect(await packStream(new Uint8Array(100_000))).toEqual({ encoding: 'zeros', bytes: new Uint8Array(0) });
    const noise = random(100_000, 0.5);
    expect(await packStream(noise)).toEqual({ encoding: 'raw', bytes: noise });
    expect(await packStream(new Uint8Array(0))).toMatchObject({ encoding: 'zeros' });
  });

  it('comes within 3 % of the entropy of bits that are set one in ten', async () => {
    const { encoding, bytes } = await packStream(random(2 ** 17, 0.1));
    expect(encoding).toBe('deflate');
    expect(bytes.length / (2 ** 17 * entropy(0.1))).toBeLessThan(1.03);
  });

  it('finds a pattern', async () => {
    const columns = Uint8Array.from({ length: 2 ** 17 }, (_, index) => (index % 96 === 5 ? 0x41 : 0));
    expect((await packStream(columns)).bytes.length).toBeLessThan(1500);
  });
});

describe('DeltaWriter', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'birdbone-delta-'));
  });
  afterEach(() => rm(root, { recursive: true }));

  const write = async (dtype: Dtype, kind: DeltaKind, chunks: readonly (readonly Uint8Array[])[], elements: number) => {
    const store = new ObjectStore(root);
    const info = { name: 'w', dtype, shape: [elements], byteLength: elements * 2 };
    const writer = await DeltaWriter.create(store, info, kind);
    for (const streams of chunks) await writer.addChunk(streams);
    const stored = await writer.commit(DIGESTS);
    expect(writer.bytes).toBe(stored.bytes);
    return { store, ...stored };
  };

  it('writes what the reader reads, a chunk at a time, the same bytes each time', async () => {
    const pieces = [CHUNK_ELEMENTS, CHUNK_ELEMENTS, 5].map((count, chunk) =>
      [0, 1].map((plane) => Uint8Array.from({ length: count }, (_, index) => (index * (chunk + 3) + plane) % 251)),
    );
    const elements = 2 * CHUNK_ELEMENTS + 5;
    const { store, id, bytes } = await write('F16', 'xor', pieces, elements);
    expect((await write('F16', 'xor', pieces, elements)).id).toBe(id);
    const object = await store.read(id, 0, bytes);
    expect(createHash('sha256').update(object).digest('hex')).toBe(id);
    const delta = await open(object);
    for (const [chunk, planes] of pieces.entries()) {
      const expected = Uint8Array.from(
        { length: planes[0]!.length * 2 },
        (_, at) => planes[at % 2]![Math.floor(at / 2)]!,
      );
      expect(Buffer.compare(await delta.difference(chunk), expected)).toBe(0);
    }
    await expect(delta.difference(3)).rejects.toThrow(RangeError);
  });
});
