import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { countOf, holdsIndex, mergeRanges, remainingRanges, subtractRanges } from '../../src/plates/index.js';
import { parseRanges, rangesText } from '../../src/plates/ranges.js';

const SIZE = 60;
const indexSet = fc.uniqueArray(fc.nat(SIZE - 1));
const toRanges = (indices: readonly number[]) => mergeRanges(indices.map((start) => ({ start, count: 1 })));
/** The indices one by one: a second implementation of everything here. */
const listed = (ranges: readonly { start: number; count: number }[]) =>
  ranges.flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i));

describe('ranges against sets of indices', () => {
  test('merging holds each index once, in order, in maximal runs', () => {
    const range = fc.record({ start: fc.nat(SIZE), count: fc.integer({ min: 1, max: 9 }) });
    fc.assert(
      fc.property(fc.array(range), (ranges) => {
        const merged = mergeRanges(ranges);
        expect(listed(merged)).toEqual([...new Set(listed(ranges))].sort((a, b) => a - b));
        for (const [i, { start }] of merged.entries()) {
          if (i > 0) expect(start).toBeGreaterThan(merged[i - 1]!.start + merged[i - 1]!.count);
        }
      }),
    );
  });

  test('subtracting, counting and looking up agree with sets', () => {
    fc.assert(
      fc.property(indexSet, indexSet, (first, second) => {
        const [a, b] = [toRanges(first), toRanges(second)];
        const difference = first.filter((index) => !second.includes(index)).sort((x, y) => x - y);
        expect(listed(subtractRanges(a, b))).toEqual(difference);
        expect(subtractRanges(a, b)).toEqual(toRanges(difference));
        expect(countOf(a)).toBe(first.length);
        expect(countOf(remainingRanges(a, SIZE))).toBe(SIZE - first.length);
        for (let index = 0; index < SIZE; index += 1) expect(holdsIndex(a, index)).toBe(first.includes(index));
      }),
    );
  });

  test('text says the same ranges', () => {
    fc.assert(
      fc.property(indexSet, (indices) => {
        fc.pre(indices.length > 0);
        const ranges = toRanges(indices);
        expect(parseRanges(rangesText(ranges), SIZE)).toEqual(ranges);
      }),
    );
    expect(rangesText(toRanges([17, 0, 1, 2]))).toBe('0-2,17');
  });

  test.each([
    ['', 'no index'],
    ['1,', 'no index'],
    ['01', 'no index'],
    ['-1', 'no index'],
    ['1e3', 'no index'],
    ['5-5', 'not after its start'],
    ['7-3', 'not after its start'],
    ['10', 'there are 10'],
    ['3-10', 'there are 10'],
    ['5,4', 'out of order'],
    ['3-5,5', 'out of order'],
    ['3,4', 'beside the range before'],
    ['9'.repeat(40), 'longer than a list of 10'],
  ])('%j is refused: %s', (text, reason) => {
    expect(parseRanges(text, 10)).toContain(reason);
  });
});
