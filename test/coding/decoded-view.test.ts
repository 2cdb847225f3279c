import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readFloats } from '../../src/checkpoint/index.js';
import { type CodingRecord, codingBytes, decodedView, ownersOfParts } from '../../src/coding/index.js';
import { f32, type MemoryTensor, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

const u8 = (bytes: Uint8Array): MemoryTensor => ({ dtype: 'U8', shape: [bytes.length], bytes });
const coding = (record: CodingRecord) => u8(codingBytes(record));
const FACTORS = { kind: 'factors', rows: 3, columns: 2 } as const;

/** [3, 1] × [1, 2], beside a tensor that is none of it. */
const pair = (record: CodingRecord = FACTORS) => ({
  w: f32([3, 1], [1, 2, 3]),
  w_right: f32([1, 2], [10, 100]),
  w_coding: coding(record),
  w2: f32([1], [7]),
});

describe('a decoded view', () => {
  it('shows factors as their product, hides their parts, and leaves the rest', async () => {
    const view = await decodedView(memoryCheckpoint(pair(), { aliases: { tied: 'w' } }));
    expect([...view.tensors.values()]).toEqual([
      { name: 'w', dtype: 'F32', shape: [3, 2], byteLength: 24 },
      { name: 'w2', dtype: 'F32', shape: [1], byteLength: 4 },
    ]);
    const product = Float32Array.of(10, 100, 20, 200, 30, 300);
    expect(await readFloats(view, 'w')).toEqual(product);
    expect(await readFloats(view, 'tied')).toEqual(product);
    expect(await readFloats(view, 'w', { start: 1, count: 1 })).toEqual(Float32Array.of(20, 200));
    expect(await readFloats(view, 'w2')).toEqual(Float32Array.of(7));
    expect(view.coded).toEqual(new Map([['w', FACTORS]]));
    expect([...view.raw.tensors.keys()]).toEqual(['w', 'w2', 'w_coding', 'w_right']);
    await expect(view.read('w_right')).rejects.toMatchObject({ code: 'unreadable' });
  });

  it('adds a low-rank correction to what is stored', async () => {
    const view = await decodedView(
      memoryCheckpoint({
        w: f32([2, 2], [1, 2, 3, 4]),
        w_left: f32([2, 2], [1, 0, 0, 2]),
        w_right: f32([2, 2], [0.5, 0, 0.25, -1]),
        w_coding: coding({ kind: 'plain', rows: 2, columns: 2, correction: 2 }),
      }),
    );
    expect(await readFloats(view, 'w')).toEqual(Float32Array.of(1.5, 2, 3.5, 2));
    expect(await readFloats(view, 'w', { start: 1, count: 1 })).toEqual(Float32Array.of(3.5, 2));
  });

  it('shows a weight transposed where the dense model stores it so', async () => {
    const view = await decodedView(memoryCheckpoint(pair({ ...FACTORS, layout: 'in-out' })));
    expect(view.tensors.get('w')!.shape).toEqual([2, 3]);
    expect(await readFloats(view, 'w')).toEqual(Float32Array.of(10, 20, 30, 100, 200, 300));
    expect(await readFloats(view, 'w', { start: 1, count: 1 })).toEqual(Float32Array.of(100, 200, 300));
  });

  it('reads any range as the whole has it', async () => {
    const small = fc.integer({ min: -8, max: 8 });
    const shapes = fc.tuple(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 6 }),
    );
    const cases = shapes.chain(([rows, rank, columns]) =>
      fc.record({
        rows: fc.constant(rows),
        rank: fc.constant(rank),
        columns: fc.constant(columns),
        left: fc.array(small, { minLength: rows * rank, maxLength: rows * rank }),
        right: fc.array(small, { minLength: rank * columns, maxLength: rank * columns }),
        ends: fc.tuple(fc.nat(rows * columns * 4), fc.nat(rows * columns * 4)),
        transposed: fc.boolean(),
      }),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ({ rows, rank, columns, left, right, ends, transposed }) => {
        const record = { kind: 'factors', rows, columns, ...(transposed && { layout: 'in-out' as const }) };
        const view = await decodedView(
          memoryCheckpoint({
            w: f32([rows, rank], left),
            w_right: f32([rank, columns], right),
            w_coding: coding(record),
          }),
        );
        // Small integers: the sums are exact in every order.
        const at = (row: number, column: number) =>
          Array.from({ length: rank }, (_, k) => left[row * rank + k]! * right[k * columns + column]!).reduce(
            (a, b) => a + b,
            0,
          );
        const dense = Float32Array.from({ length: rows * columns }, (_, i) =>
          transposed ? at(i % rows, Math.floor(i / rows)) : at(Math.floor(i / columns), i % columns),
        );
        const bytes = new Uint8Array(dense.buffer);
        const [start, end] = ends.sort((a, b) => a - b) as [number, number];
        expect(await view.read('w', { offset: start, length: end - start })).toEqual(bytes.slice(start, end));
      }),
      { numRuns: 80 },
    );
  });

  it('takes for coded only what has a record beside it', async () => {
    const view = await decodedView(memoryCheckpoint({ pos_coding: f32([2], [1, 2]), w: f32([1], [3]) }));
    expect([...view.tensors.keys()]).toEqual(['pos_coding', 'w']);
    expect(view.coded.size).toBe(0);
  });

  const bytesOf = (text: string) => u8(new Uint8Array(Buffer.from(text)));
  const wrong: readonly (readonly [string, Record<string, MemoryTensor>, string, RegExp])[] = [
    ['a record of another type', { w_coding: f32([1], [1]) }, 'unreadable', /w_coding.*is F32 \[1\], not U8/],
    ['no JSON', { w_coding: bytesOf('{') }, 'unreadable', /no canonical JSON/],
    [
      'a key twice',
      { w_coding: bytesOf('{"columns":2,"kind":"factors","kind":"x","rows":3}') },
      'unreadable',
      /canonical/,
    ],
    ['a list', { w_coding: bytesOf('[]') }, 'unreadable', /canonical JSON object/],
    ['a large record', { w_coding: u8(new Uint8Array(65_537)) }, 'unreadable', /at most 65536/],
    ['no extents', { w_coding: bytesOf('{"columns":2,"kind":"factors","rows":0}') }, 'unreadable', /extents: rows 0/],
    ['huge extents', { w_coding: coding({ ...FACTORS, rows: 2 ** 40, columns: 2 ** 40 }) }, 'unreadable', /extents/],
    ['other extents', { w_coding: coding({ ...FACTORS, rows: 4 }) }, 'unreadable', /"w" is F32 \[3, 1\].*\[4, 1\]/],
    [
      'an unknown layout',
      { w_coding: bytesOf('{"columns":2,"kind":"factors","layout":"x","rows":3}') },
      'unreadable',
      /layout/,
    ],
    [
      'an unknown kind',
      { w_coding: coding({ ...FACTORS, kind: 'wavelets' }) },
      'unsupported',
      /wavelets.*Known: .*factors/,
    ],
    ['another right factor', { w_right: f32([1, 3], [1, 2, 3]) }, 'unreadable', /"w_right" is F32 \[1, 3\]/],
    ['a right factor of codes', { w_right: u8(Uint8Array.of(1, 2)) }, 'unreadable', /w_right/],
    ['a correction of factors', { w_coding: coding({ ...FACTORS, correction: 1 }) }, 'unreadable', /no correction/],
  ];
  it.each(wrong)('is refused for %s', async (_, change, code, message) => {
    const opening = decodedView(memoryCheckpoint({ ...pair(), ...change }));
    await expect(opening).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
      tensor: expect.any(String),
    });
  });

  it('is refused without a part', async () => {
    const { w_right: _, ...rest } = pair();
    await expect(decodedView(memoryCheckpoint(rest))).rejects.toThrow(/w_right.*is missing/);
  });

  it('tells whose parts are whose, the longest name first', () => {
    const names = ['a', 'a_coding', 'a_scale', 'a_b', 'a_b_coding', 'a_b_scale', 'ax', 'c', 'c_scale'];
    expect(Object.fromEntries(ownersOfParts(names))).toEqual({
      a: 'a',
      a_coding: 'a',
      a_scale: 'a',
      a_b: 'a_b',
      a_b_coding: 'a_b',
      a_b_scale: 'a_b',
    });
  });
});
