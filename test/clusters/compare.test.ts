import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareClusterings } from '../../src/clusters/index.js';

const compare = (before: number[], after: number[]) =>
  compareClusterings(Int32Array.from(before), Int32Array.from(after));

describe('as scikit-learn 1.2.1 has them', () => {
  it.each([
    {
      before: [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3],
      after: [0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2],
      rand: 0.5829823083403538,
      information: 0.7401962891738145,
    },
    {
      before: [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, -1, -1],
      after: [0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 0, -1, -1, 0],
      rand: 0.11903908210828254,
      information: 0.4311587205658571,
    },
    { before: [0, 0, 1, 1], after: [0, 1, 0, 1], rand: -0.5, information: 0 },
    { before: [0, 0, 1, 1], after: [1, 1, 0, 0], rand: 1, information: 1 },
    { before: [0, 0, 0], after: [0, 0, 0], rand: 1, information: 1 },
    { before: [0, 1, 2], after: [2, 1, 0], rand: 1, information: 1 },
    { before: [0, 0, 0], after: [0, 1, 2], rand: 0, information: 0 },
  ])('$before and $after', ({ before, after, rand, information }) => {
    const found = compare(before, after);
    expect(found.adjustedRand).toBeCloseTo(rand, 14);
    expect(found.normalizedMutualInformation).toBeCloseTo(information, 14);
  });
});

it('has the table of points in both', () => {
  const { contingency } = compare([1, 0, -1, 1, 0], [0, 0, 2, 0, -1]);
  expect([...contingency.before]).toEqual([-1, 0, 1]);
  expect([...contingency.after]).toEqual([-1, 0, 2]);
  expect([...contingency.counts]).toEqual([0, 0, 1, 1, 1, 0, 0, 2, 0]);
  expect(contingency.points).toBe(5);
});

const labels = fc
  .integer({ min: 2, max: 30 })
  .chain((length) =>
    fc.tuple(...[0, 1].map(() => fc.array(fc.integer({ min: -1, max: 4 }), { minLength: length, maxLength: length }))),
  );

/** Over all pairs of points: in both together, in one only (Hubert & Arabie 1985, in the form of Steinley 2004). */
function randByPairs(before: readonly number[], after: readonly number[]): number {
  let [both, first, second, neither] = [0, 0, 0, 0];
  for (let i = 0; i < before.length; i += 1) {
    for (let j = 0; j < i; j += 1) {
      const [a, b] = [before[i] === before[j], after[i] === after[j]];
      if (a && b) both += 1;
      else if (a) first += 1;
      else if (b) second += 1;
      else neither += 1;
    }
  }
  const below = (both + first) * (first + neither) + (both + second) * (second + neither);
  return below === 0 ? 1 : (2 * (both * neither - first * second)) / below;
}

it('agrees with counting pairs, whatever the names and whichever comes first', () => {
  fc.assert(
    fc.property(labels, ([before, after]) => {
      const found = compare(before!, after!);
      expect(found.adjustedRand).toBeCloseTo(randByPairs(before!, after!), 12);
      const turned = compare(
        after!.map((label) => 7 - label),
        before!,
      );
      expect(turned.adjustedRand).toBeCloseTo(found.adjustedRand, 12);
      expect(turned.normalizedMutualInformation).toBeCloseTo(found.normalizedMutualInformation, 12);
      expect(found.normalizedMutualInformation).toBeGreaterThanOrEqual(0);
      expect(found.normalizedMutualInformation).toBeLessThanOrEqual(1);
      const same = compare(before!, before!);
      expect(same.adjustedRand).toBe(1);
      expect(same.normalizedMutualInformation).toBeCloseTo(1, 14);
    }),
    { numRuns: 300 },
  );
});

it('refuses clusterings of different points, and tables without end', () => {
  expect(() => compare([0, 1], [0, 1, 1])).toThrow(/2 points, the other 3.*same points/);
  const singles = Int32Array.from({ length: 5000 }, (_, i) => i);
  expect(() => compareClusterings(singles, singles)).toThrow(/5000 and 5000 clusters.*16777216/);
});
