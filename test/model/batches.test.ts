import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apartAbove, batchesOf, isPadded, realPositions, tokensPerBatch } from '../../src/model/index.js';
import type { Device } from '../../src/tensor/index.js';
import { decoderOf } from './decoder-of.js';

const passageOf = (length: number, start = 1) => ({ ids: Int32Array.from({ length }, (_, i) => start + i) });

describe('batchesOf', () => {
  it('fills equal windows into batches without padding, in their order', () => {
    const batches = batchesOf([passageOf(4, 1), passageOf(4, 10), passageOf(4, 20)], 8);
    expect(batches.map((batch) => [batch.rows, batch.columns, [...batch.passages]])).toEqual([
      [2, 4, [0, 1]],
      [1, 4, [2]],
    ]);
    expect([...batches[0]!.ids]).toEqual([1, 2, 3, 4, 10, 11, 12, 13]);
    expect(batches.some(isPadded)).toBe(false);
  });

  it('pads the shorter rows of a batch behind their end', () => {
    const [batch] = batchesOf([passageOf(1, 7), passageOf(3, 1)], 6);
    expect([...batch!.ids]).toEqual([1, 2, 3, 7, 0, 0]);
    expect([...batch!.lengths]).toEqual([3, 1]);
    expect([...batch!.passages]).toEqual([1, 0]);
    expect(isPadded(batch!)).toBe(true);
    expect([...realPositions(batch!)]).toEqual([0, 1, 2, 3]);
  });

  it('gives a passage longer than the bound a batch of its own', () => {
    expect(batchesOf([passageOf(9), passageOf(2)], 4).map((batch) => [batch.rows, batch.columns])).toEqual([
      [1, 9],
      [1, 2],
    ]);
  });

  it('keeps passages apart that a model turns differently', () => {
    const passages = [5, 9, 4, 9, 5].map((length) => passageOf(length));
    const lengths = (apart?: number) => batchesOf(passages, 64, apart).map((batch) => [...batch.lengths]);
    expect(lengths()).toEqual([[9, 9, 5, 5, 4]]);
    expect(lengths(5)).toEqual([
      [9, 9],
      [5, 5, 4],
    ]);
    expect(lengths(9)).toEqual([[9, 9, 5, 5, 4]]);
    const longRope = { kind: 'longrope', shortFactors: [], longFactors: [], originalContext: 5, amplitude: 1 } as const;
    expect(apartAbove({ ropeScaling: longRope })).toBe(5);
    expect(apartAbove({ ropeScaling: { kind: 'none' } })).toBe(Number.POSITIVE_INFINITY);
  });

  it('refuses an empty passage', () => {
    expect(() => batchesOf([passageOf(0)], 4)).toThrow(RangeError);
  });

  it('covers every passage once, with its own ids, within the bound', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 200 }), (sizes, maxTokens) => {
        const passages = sizes.map((size, i) => passageOf(size, i * 100));
        const seen: number[] = [];
        for (const batch of batchesOf(passages, maxTokens)) {
          expect(batch.ids.length).toBe(batch.rows * batch.columns);
          if (batch.rows > 1) expect(batch.ids.length).toBeLessThanOrEqual(maxTokens);
          batch.passages.forEach((passage, row) => {
            seen.push(passage);
            const length = batch.lengths[row]!;
            const start = row * batch.columns;
            expect(batch.ids.slice(start, start + length)).toEqual(passages[passage]!.ids);
            expect(batch.ids.slice(start + length, start + batch.columns).every((id) => id === 0)).toBe(true);
          });
        }
        expect(seen.sort((a, b) => a - b)).toEqual(sizes.map((_, i) => i));
      }),
    );
  });
});

describe('tokensPerBatch', () => {
  const decoder = decoderOf({ hidden: 64, heads: 8, headDim: 8, ffn: 200 });
  const device = (maxTensorBytes: number) => ({ name: 'cpu', maxTensorBytes }) as Device;

  it('bounds the attention scores of long rows: heads · t² · 4 bytes each', () => {
    expect(tokensPerBatch(decoder, 256, device(2 ** 30), 8 * 256 * 256 * 4 * 3)).toBe(3 * 256);
  });

  it('bounds the FFN of short rows: t · ffn · 4 bytes each', () => {
    expect(tokensPerBatch(decoder, 10, device(2 ** 30), 10 * 200 * 4 * 5 + 1)).toBe(50);
  });

  it('never passes what the device computes right', () => {
    expect(tokensPerBatch(decoder, 256, device(8 * 256 * 256 * 4), 2 ** 30)).toBe(256);
  });

  it('takes one row when one is already above the budget', () => {
    expect(tokensPerBatch(decoder, 256, device(2 ** 30), 1)).toBe(256);
  });

  it('refuses a row that the device cannot compute', () => {
    expect(() => tokensPerBatch(decoder, 256, device(8 * 256 * 256 * 4 - 1))).toThrow(
      expect.objectContaining({ code: 'out-of-memory', message: expect.stringContaining('2097152 bytes') }),
    );
  });
});
