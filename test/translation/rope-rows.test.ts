import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readReordered } from '../../src/translation/derived/reordered.js';
import { headOrder, type RopeOrder, storedRow } from '../../src/translation/rope-rows.js';

/** The reference's way: the array is reshaped to [heads, 2, half], its last two axes are swapped. */
function swapAxes(heads: number, headRows: number): number[] {
  const half = headRows / 2;
  const order: number[] = [];
  for (let head = 0; head < heads; head++)
    for (let j = 0; j < half; j++) for (let t = 0; t < 2; t++) order.push(head * headRows + t * half + j);
  return order;
}

const shape = fc.record({
  heads: fc.integer({ min: 1, max: 5 }),
  half: fc.integer({ min: 1, max: 9 }),
  rowBytes: fc.integer({ min: 1, max: 7 }),
});

describe('storedRow', () => {
  it('is written out for two heads of four rows', () => {
    // numpy.arange(8).reshape(2, 2, 2).swapaxes(1, 2).ravel() is [0 2 1 3 4 6 5 7]; of heads of 8: [0 4 1 5 2 6 3 7].
    const rows = (headRows: number, wanted: RopeOrder) =>
      Array.from({ length: 8 }, (_, row) => storedRow(row, { headRows, wanted }));
    expect(rows(4, 'pairs')).toEqual([0, 2, 1, 3, 4, 6, 5, 7]);
    expect(rows(8, 'pairs')).toEqual([0, 4, 1, 5, 2, 6, 3, 7]);
    expect(rows(8, 'halves')).toEqual([0, 2, 4, 6, 1, 3, 5, 7]);
  });

  it('is the reference order, and its own inverse the other way round', () => {
    fc.assert(
      fc.property(shape, ({ heads, half }) => {
        const headRows = 2 * half;
        const pairs = swapAxes(heads, headRows);
        expect(pairs.map((_, row) => storedRow(row, { headRows, wanted: 'pairs' }))).toEqual(pairs);
        for (let row = 0; row < pairs.length; row++)
          expect(storedRow(pairs[row]!, { headRows, wanted: 'halves' })).toBe(row);
      }),
    );
  });
});

describe('readReordered', () => {
  it('gives for every range what reordering the whole matrix and cutting gives', async () => {
    await fc.assert(
      fc.asyncProperty(
        shape,
        fc.constantFrom<RopeOrder>('pairs', 'halves'),
        fc.nat(),
        fc.nat(),
        async (sizes, wanted, a, b) => {
          const { heads, half, rowBytes } = sizes;
          const rows = { headRows: 2 * half, wanted };
          const stored = Uint8Array.from({ length: heads * 2 * half * rowBytes }, (_, i) => i % 251);
          const expected = new Uint8Array(stored.length);
          for (let row = 0; row < stored.length / rowBytes; row++) {
            const from = storedRow(row, rows) * rowBytes;
            expected.set(stored.subarray(from, from + rowBytes), row * rowBytes);
          }
          const offset = a % (stored.length + 1);
          const length = b % (stored.length - offset + 1);
          const read = await readReordered({ offset, length }, { ...headOrder(rows), rowBytes }, async (at, count) => {
            expect(at + count).toBeLessThanOrEqual(stored.length);
            return stored.slice(at, at + count);
          });
          expect(read).toEqual(expected.slice(offset, offset + length));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('reads a head with one call, and never more than it asks for of a head that is too large for that', async () => {
    const sizes: number[] = [];
    const reading = async (_at: number, count: number) => {
      sizes.push(count);
      return new Uint8Array(count);
    };
    await readReordered(
      { offset: 0, length: 2 * 64 * 1024 },
      { ...headOrder({ headRows: 64, wanted: 'pairs' }), rowBytes: 1024 },
      reading,
    );
    expect(sizes).toEqual([64 * 1024, 64 * 1024]);

    sizes.length = 0;
    const hugeHead = { ...headOrder({ headRows: 2 ** 20, wanted: 'halves' }), rowBytes: 4096 };
    await readReordered({ offset: 2 ** 31, length: 10_000 }, hugeHead, reading);
    expect(sizes).toEqual([4096, 4096, 10_000 - 8192]);
  });
});
