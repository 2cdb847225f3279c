import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groupOf, learningRateAt, windowGroups } from '../../src/healing/schedule.js';

describe('learningRateAt', () => {
  const at = (step: number) => learningRateAt(step, { steps: 110, warmUp: 0.09, learningRate: 2 });

  it('rises in a line over the warm-up, then falls along half a cosine to a tenth', () => {
    expect(at(1)).toBeCloseTo(0.2);
    expect(at(5)).toBeCloseTo(1);
    expect(at(10)).toBeCloseTo(2);
    expect(at(60)).toBeCloseTo(1.1);
    expect(at(110)).toBeCloseTo(0.2);
  });

  it('begins at the top without a warm-up', () => {
    expect(learningRateAt(1, { steps: 1000, warmUp: 0, learningRate: 1 })).toBeGreaterThan(0.99);
  });
});

describe('the order of the windows', () => {
  it('puts each window into one group of the size, and leaves out less than a group', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 20 }), fc.nat(), (count, size, seed) => {
        const groups = windowGroups(count, size, seed);
        const windows = groups.flat();
        expect(new Set(windows).size).toBe(windows.length);
        expect(Math.max(...windows)).toBeLessThan(count);
        expect(groups.every((group) => group.length === Math.min(size, count))).toBe(true);
        expect(count - windows.length).toBeLessThan(size);
        expect(windowGroups(count, size, seed)).toEqual(groups);
      }),
    );
  });

  it('takes every group once an epoch, in an order of the epoch and the seed', () => {
    const epoch = (number: number, seed: number) =>
      Array.from({ length: 12 }, (_, i) => groupOf(12 * number + i, 12, seed));
    for (const number of [0, 1, 2]) expect([...epoch(number, 4)].sort((a, b) => a - b)).toEqual([...Array(12).keys()]);
    expect(epoch(0, 4)).not.toEqual(epoch(1, 4));
    expect(epoch(0, 4)).not.toEqual(epoch(0, 5));
  });
});
