import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { headGroups, MatrixAggregate, standardScores, summariesToCsv } from '../../src/importance/index.js';

function summarize(
  values: readonly number[],
  rows: number,
  heads?: ReturnType<typeof headGroups>,
  rowsPerSlice = rows,
) {
  const columns = values.length / rows;
  const aggregate = new MatrixAggregate({ name: 'w', rows, columns }, heads);
  for (let row = 0; row < rows; row += rowsPerSlice) {
    aggregate.add(Float32Array.from(values.slice(row * columns, (row + rowsPerSlice) * columns)));
  }
  return aggregate.finish();
}

describe('MatrixAggregate', () => {
  it('gives rows, columns and heads, by hand', () => {
    const values = [1, 2, 3, 4, /**/ 5, 6, 7, 8, /**/ 0, 0, 0, 0, /**/ 1, 1, 1, 9];
    const q = summarize(values, 4, headGroups('q', 2));
    expect(q.byRow).toMatchObject({ mean: [2.5, 6.5, 0, 3], max: [4, 8, 0, 9] });
    expect(q.byColumn).toMatchObject({ mean: [1.75, 2.25, 2.75, 5.25], max: [5, 6, 7, 9] });
    // Two means m and M: (m − (m + M) / 2) / (|M − m| / √2) is ∓1/√2.
    expect(q.byHead).toMatchObject({ mean: [4.5, 1.5], max: [8, 9] });
    expect(q.byHead?.standard.map((score) => score * Math.SQRT2)).toEqual([
      expect.closeTo(1, 12),
      expect.closeTo(-1, 12),
    ]);
    expect(q.all).toMatchObject({ count: 16, zeros: 4, mean: 3, min: 0, max: 9 });
    const o = summarize(values, 4, headGroups('o', 2));
    expect(o.byHead).toMatchObject({ mean: [2, 4], max: [6, 9] });
    expect(summarize(values, 4, headGroups('up', 2)).byHead).toBeUndefined();
  });

  it('counts scores between powers of two', () => {
    const { histogram } = summarize([0, 2 ** -130, 0.5, 0.99, 1, 1.5, 1.99, 2, 1000], 1).all;
    expect(histogram).toEqual([
      { from: 0, to: 2 ** -126, count: 2 },
      { from: 0.5, to: 1, count: 2 },
      { from: 1, to: 2, count: 3 },
      { from: 2, to: 4, count: 1 },
      { from: 512, to: 1024, count: 1 },
    ]);
  });

  it('does not depend on how the rows were sliced', () => {
    const values = Array.from({ length: 60 }, (_, i) => (i * 37) % 23);
    const whole = summarize(values, 12, headGroups('k', 3));
    for (const rowsPerSlice of [1, 5, 7]) {
      expect(summarize(values, 12, headGroups('k', 3), rowsPerSlice)).toEqual(whole);
    }
  });

  it('has quantiles within 1/128 of the exact ones, in order', () => {
    const scores = fc.array(fc.float({ min: Math.fround(1e-30), max: Math.fround(1e30), noNaN: true }), {
      minLength: 1,
      maxLength: 200,
    });
    fc.assert(
      fc.property(scores, (values) => {
        const sorted = values.toSorted((a, b) => a - b);
        let last = 0;
        for (const { fraction, value } of summarize(values, 1).all.quantiles) {
          const rank = fraction * (values.length - 1);
          expect(value).toBeGreaterThanOrEqual(sorted[Math.floor(rank)]! * (1 - 1 / 128));
          expect(value).toBeLessThanOrEqual(sorted[Math.floor(rank)]! * (1 + 1 / 128));
          expect(value).toBeGreaterThanOrEqual(last);
          last = value;
        }
      }),
    );
  });

  it('refuses what cannot be ranked, naming the weight, wherever the slice began', () => {
    const aggregate = new MatrixAggregate({ name: 'model.w', rows: 3, columns: 2 });
    aggregate.add(Float32Array.of(1, 2));
    expect(() => aggregate.add(Float32Array.of(1, 2, 3, Number.NaN))).toThrow(
      expect.objectContaining({
        code: 'unsupported',
        tensor: 'model.w',
        message: expect.stringContaining('model.w[2, 1] is NaN'),
      }),
    );
    expect(() => summarize([1, -1], 1)).toThrow('is -1');
    expect(() => summarize([Number.POSITIVE_INFINITY], 1)).toThrow('is Infinity');
  });

  it('refuses rows that are missing, too many or broken, and heads that do not divide', () => {
    const aggregate = new MatrixAggregate({ name: 'w', rows: 2, columns: 2 });
    expect(() => aggregate.add(Float32Array.of(1, 2, 3))).toThrow('3 scores are not the next rows of 2 × 2');
    aggregate.add(Float32Array.of(1, 2));
    expect(() => aggregate.finish()).toThrow('scores of 1 of 2 rows');
    expect(() => aggregate.add(Float32Array.of(1, 2, 3, 4))).toThrow('not the next rows');
    expect(() => summarize([1, 2, 3], 3, headGroups('v', 2))).toThrow('3 rows are not heads of 2');
  });
});

describe('summariesToCsv', () => {
  it('has a line per matrix, row, column and head, all of the same width', () => {
    const aggregate = new MatrixAggregate({ name: 'odd,"name"', rows: 2, columns: 2 }, headGroups('q', 2));
    aggregate.add(Float32Array.of(0, 1, 2, 4));
    const lines = [...summariesToCsv([{ ...aggregate.finish(), metric: 'wanda', kept: 2 }])];
    expect(lines[0]).toBe('metric,name,level,index,mean,max,standard,min,zeros,q01,q10,q25,q50,q75,q90,q99,kept\n');
    expect(lines[1]).toMatch(/^wanda,"odd,""name""",matrix,,1\.75,4,,0,1,.*,2\n$/);
    const parts = lines.slice(2).map((line) => line.replace(/0\.7071\d+/g, '√½'));
    expect(parts).toEqual([
      'wanda,"odd,""name""",row,0,0.5,1,-√½,,,,,,,,,,\n',
      'wanda,"odd,""name""",row,1,3,4,√½,,,,,,,,,,\n',
      'wanda,"odd,""name""",column,0,1,2,-√½,,,,,,,,,,\n',
      'wanda,"odd,""name""",column,1,2.5,4,√½,,,,,,,,,,\n',
      'wanda,"odd,""name""",head,0,1.75,4,0,,,,,,,,,,\n',
    ]);
  });
});

describe('standardScores', () => {
  it('centres and scales, by hand', () => {
    // mean 4, deviations −2, 0, 2: sample variance (4 + 0 + 4) / 2 = 4.
    expect(standardScores([2, 4, 6])).toEqual([-1, 0, 1]);
    expect(standardScores([3, 3, 3])).toEqual([0, 0, 0]);
    expect([standardScores([7]), standardScores([])]).toEqual([[0], []]);
  });

  it('does not change when all values are moved and stretched', () => {
    const values = fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 2, maxLength: 50 });
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 9 }), fc.integer({ min: -9, max: 9 }), (xs, factor, offset) => {
        const before = standardScores(xs);
        const after = standardScores(xs.map((x) => factor * x + offset));
        after.forEach((score, i) => {
          expect(score).toBeCloseTo(before[i]!, 9);
        });
      }),
    );
  });
});
