import { expect, it } from 'vitest';
import { portraitsOf } from '../../src/clusters/index.js';
import { pointsOf } from './planted.js';

it('names the points in the middle and at the edge, and the dimensions that set a cluster apart', () => {
  const points = pointsOf([
    [0, 10, 5],
    [1, 12, 5],
    [2, 14, 5],
    [9, 12, 5],
    [100, 11, 7],
    [102, 13, 7],
    [999, 999, 999],
  ]);
  const [first, second] = portraitsOf(points, Int32Array.of(0, 0, 0, 0, 1, 1, -1), { points: 2, dimensions: 2 });
  // The centroid is [3, 12, 5].
  expect(first!.typical).toEqual([1, 2]);
  expect(first!.outlying).toEqual([3, 0]);
  expect(second!.typical).toEqual([4, 5]);
  expect(second!.outlying).toEqual([]);
  // Means 3 and 101, squares 9 + 4 + 1 + 36 and 1 + 1, over six points; dimension 1 has the same mean in both.
  expect(first!.marks).toEqual([
    { dimension: 2, difference: Number.NEGATIVE_INFINITY },
    { dimension: 0, difference: -98 / Math.sqrt(52 / 6) },
  ]);
  expect(second!.marks[1]!.difference).toBeCloseTo(98 / Math.sqrt(52 / 6), 12);
});

it('has no marks for one cluster, and nothing for none', () => {
  const points = pointsOf([[1], [2], [4]]);
  expect(portraitsOf(points, Int32Array.of(0, 0, 0))).toEqual([{ typical: [1, 0, 2], outlying: [], marks: [] }]);
  expect(portraitsOf(points, Int32Array.of(-1, -1, -1))).toEqual([]);
});
