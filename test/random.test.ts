import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom, splitMix64, xoshiro128 } from '../src/random.js';

describe('xoshiro128', () => {
  it("gives the numbers of its authors' xoshiro128starstar.c 1.1", () => {
    const random = xoshiro128([1, 2, 3, 4]);
    expect(Array.from({ length: 10 }, () => random.bits())).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
  });
});

describe('splitMix64', () => {
  it('gives the numbers of the published splitmix64.c for the seed 1234567', () => {
    expect([1n, 2n, 3n, 4n, 5n].map((index) => splitMix64(1234567n, index))).toEqual([
      6457827717110365317n,
      3203168211198807973n,
      9817491932198370423n,
      4593380528125082431n,
      16408922859458223821n,
    ]);
  });
});

describe('seededRandom', () => {
  it('repeats for the same seed and differs for neighbours', () => {
    const first = (seed: number) => Array.from({ length: 4 }, (_, __, random = seededRandom(seed)) => random.bits());
    expect(first(7)).toEqual(first(7));
    const starts = [0, 1, 2, 3, 2 ** 32 - 1].map((seed) => seededRandom(seed).bits());
    expect(new Set(starts).size).toBe(5);
  });

  it('draws every number below the bound equally often', () => {
    const random = seededRandom(1);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) counts[random.below(7)]!++;
    // χ² with 6 degrees of freedom is below 22.5 in 999 of 1000 samples.
    expect(counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0)).toBeLessThan(22.5);
  });

  it('stays below bounds for which most draws must be repeated', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 32 }), fc.nat(), (bound, seed) => {
        const drawn = seededRandom(seed).below(bound);
        expect(Number.isInteger(drawn) && drawn >= 0 && drawn < bound).toBe(true);
      }),
    );
  });
});
