import { describe, expect, it } from 'vitest';
import {
  keptCount,
  type Mask,
  type MatrixScores,
  maskToBytes,
  type Pattern,
  parsePattern,
  patterns,
  removedCount,
} from '../../src/sparsity/index.js';

/** Patterns to try of every registered family; a family without a line here fails the first test. */
const EXAMPLES: Record<string, readonly string[]> = {
  unstructured: ['unstructured'],
  'N:M': ['2:4', '4:8', '1:2', '3:7', '5:20'],
};

/** One way to apply a pattern to a matrix, and what it promises of every group of consecutive weights that compete. */
interface Way {
  readonly label: string;
  readonly apply: (scores: MatrixScores) => Mask;
  /** Weights of a group: a divisor of the row, or of the matrix. */
  readonly group: (rows: number, columns: number) => { within: number; size: number };
  readonly removedOf: (groupLength: number) => number;
}

function waysOf(pattern: Pattern): Way[] {
  if (pattern.kind === 'fixed') {
    const [n, m] = pattern.name.split(':').map(Number) as [number, number];
    return [
      {
        label: pattern.name,
        apply: (scores) => pattern.mask(scores),
        group: (_, columns) => ({ within: columns, size: m }),
        removedOf: (length) => length - Math.min(n, length),
      },
    ];
  }
  return (['row', 'layer'] as const).flatMap((compare) =>
    [0.07, 0.5, 0.9].map((sparsity) => ({
      label: `${pattern.name}, ${sparsity} by ${compare}`,
      apply: (scores: MatrixScores) => pattern.mask(scores, { sparsity, compare }),
      group: (rows: number, columns: number) => {
        const size = compare === 'row' ? columns : rows * columns;
        return { within: size, size };
      },
      removedOf: (length: number) => removedCount(length, sparsity),
    })),
  );
}

function matrix(rows: number, columns: number, value: (row: number, column: number) => number): MatrixScores {
  const values = Float32Array.from({ length: rows * columns }, (_, i) => value(Math.floor(i / columns), i % columns));
  return { name: 'block.0.weight', rows, columns, values };
}

/** The competing weights of a matrix, group by group: their scores, and whether each stays. */
function* groupsOf(way: Way, scores: MatrixScores): Generator<{ values: number[]; keep: number[] }> {
  const { within, size } = way.group(scores.rows, scores.columns);
  const keep = maskToBytes(way.apply(scores));
  for (let outer = 0; outer < keep.length; outer += within) {
    for (let start = outer; start < outer + within; start += size) {
      const end = Math.min(start + size, outer + within);
      yield { values: [...scores.values.subarray(start, end)], keep: [...keep.subarray(start, end)] };
    }
  }
}

const distinct = (row: number, column: number) => Math.abs(Math.sin(row * 31 + column * 17 + 0.5));
const shapes = [
  [1, 1],
  [3, 8],
  [4, 43],
  [7, 172],
] as const;

it('every registered pattern family is under contract', () => {
  expect(Object.keys(EXAMPLES).sort()).toEqual([...patterns.names].sort());
});

const ways = (await Promise.all(Object.values(EXAMPLES).flat().map(parsePattern))).flatMap(waysOf);

describe.each(ways)('pattern $label', (way) => {
  it('has the shape of the scores, and padding bits 0', () => {
    for (const [rows, columns] of shapes) {
      const mask = way.apply(matrix(rows, columns, distinct));
      expect([mask.rows, mask.columns]).toEqual([rows, columns]);
      expect(mask.bits.length).toBe(Math.ceil((rows * columns) / 8));
      expect(keptCount(mask)).toBe(maskToBytes(mask).reduce((sum, kept) => sum + kept, 0));
    }
  });

  it('removes exactly what it promises, in every group', () => {
    for (const [rows, columns] of shapes) {
      for (const { keep } of groupsOf(way, matrix(rows, columns, distinct))) {
        expect(keep.filter((kept) => kept === 0).length).toBe(way.removedOf(keep.length));
      }
    }
  });

  it('keeps the larger scores of every group', () => {
    for (const { values, keep } of groupsOf(
      way,
      matrix(4, 40, (row, column) => ((row * 40 + column) * 7919) % 53),
    )) {
      const smallestKept = Math.min(...values.filter((_, i) => keep[i] === 1));
      const largestGone = Math.max(...values.filter((_, i) => keep[i] === 0));
      expect(smallestKept).toBeGreaterThanOrEqual(largestGone);
    }
  });

  it('breaks ties by index: the lower index goes first', () => {
    for (const { keep } of groupsOf(
      way,
      matrix(2, 40, () => 1),
    )) {
      const removed = way.removedOf(keep.length);
      expect(keep).toEqual(keep.map((_, i) => (i < removed ? 0 : 1)));
    }
  });

  it('gives the same bits for the same scores, and leaves them alone', () => {
    const scores = matrix(5, 43, (row, column) => (row + column * 5) % 7);
    const before = scores.values.slice();
    expect(way.apply(scores).bits).toEqual(way.apply(scores).bits);
    expect(scores.values).toEqual(before);
  });

  it('moves with the rows', () => {
    const permutation = [3, 0, 4, 2, 1];
    const straight = maskToBytes(way.apply(matrix(5, 24, distinct)));
    const moved = maskToBytes(way.apply(matrix(5, 24, (row, column) => distinct(permutation[row]!, column))));
    for (const [row, from] of permutation.entries()) {
      expect(moved.subarray(row * 24, (row + 1) * 24)).toEqual(straight.subarray(from * 24, (from + 1) * 24));
    }
  });

  it('refuses scores that have no rank, naming the matrix and the weight', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1]) {
      const scores = matrix(2, 40, (row, column) => (row === 1 && column === 3 ? bad : 1));
      expect(() => way.apply(scores)).toThrow(
        expect.objectContaining({
          code: 'unsupported',
          tensor: 'block.0.weight',
          message: expect.stringContaining('block.0.weight[1, 3]'),
        }),
      );
    }
  });
});
