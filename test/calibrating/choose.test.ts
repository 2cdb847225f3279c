import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { choose } from '../../src/calibrating/choose.js';
import type { Candidate } from '../../src/calibrating/pool.js';
import { fairShares } from '../../src/calibrating/shares.js';
import { lengthClass, strataOf } from '../../src/calibrating/strata.js';
import { seededRandom } from '../../src/random.js';

/** Passages of random ids: `lengths` of each source. */
function candidatesOf(lengths: readonly (readonly number[])[], vocabulary = 50): Candidate[] {
  const random = seededRandom(3);
  return lengths.flatMap((list, source) =>
    list.map((length) => {
      const ids = Int32Array.from({ length }, () => random.below(vocabulary));
      return { source, ids, text: ids.join(' ') };
    }),
  );
}

function tokensBySource(candidates: readonly Candidate[], chosen: readonly number[]): number[] {
  const tokens: number[] = [];
  for (const index of chosen) {
    const { source, ids } = candidates[index]!;
    tokens[source] = (tokens[source] ?? 0) + ids.length;
  }
  return tokens;
}

describe('fairShares', () => {
  it('spends the budget, gives nobody more than there is, and nobody who wants more less than another gets', () => {
    const amounts = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(amounts, fc.integer({ min: 0, max: 5000 }), (available, budget) => {
        const shares = fairShares(available, budget);
        const sum = (list: readonly number[]) => list.reduce((total, value) => total + value, 0);
        expect(sum(shares)).toBeCloseTo(Math.min(budget, sum(available)), 6);
        const most = Math.max(...shares);
        for (const [index, share] of shares.entries()) {
          expect(share).toBeLessThanOrEqual(available[index]! + 1e-9);
          if (share < available[index]! - 1e-9) expect(share).toBeCloseTo(most, 6);
        }
      }),
    );
  });

  it('divides as computed by hand', () => {
    expect(fairShares([10, 100, 100], 120)).toEqual([10, 55, 55]);
  });
});

describe('lengthClass', () => {
  it('has its borders at a quarter, a half and the whole', () => {
    expect([1, 64, 65, 128, 129, 255, 256].map((tokens) => lengthClass(tokens, 256))).toEqual([0, 0, 1, 1, 2, 2, 3]);
  });
});

describe('choose', () => {
  const lengths = [Array(40).fill(16), [...Array(40).fill(16), ...Array(40).fill(4)], Array(5).fill(16)];
  const candidates = candidatesOf(lengths);
  const strata = strataOf(candidates, { sources: 3, context: 16, budget: 640 });

  it.each(['random', 'vocabulary'] as const)('balances sources and lengths (%s)', (choice) => {
    const chosen = choose(candidates, strata, { choice, seed: 1 });
    expect(new Set(chosen).size).toBe(chosen.length);
    // The third source has 80 tokens alone; the others share the rest, the second one half in short passages.
    expect(tokensBySource(candidates, chosen)).toEqual([288, 284, 80].map((tokens) => expect.closeTo(tokens, -1.4)));
    const short = chosen.filter((index) => candidates[index]!.ids.length === 4).length;
    expect(Math.abs(short * 4 - 140)).toBeLessThanOrEqual(8);
  });

  it('divides every beginning of the set as it divides the whole', () => {
    const chosen = choose(candidates, strata, { choice: 'random', seed: 1 });
    const whole = tokensBySource(candidates, chosen);
    const half = tokensBySource(candidates, chosen.slice(0, chosen.length / 2));
    // No closer than a passage of each stratum.
    for (const [source, tokens] of whole.entries())
      expect(Math.abs(half[source]! - tokens / 2)).toBeLessThanOrEqual(20);
  });

  it('covers more of the vocabulary when asked to than by chance, of any seed', () => {
    const wide = candidatesOf([Array(200).fill(16)], 400);
    const single = strataOf(wide, { sources: 1, context: 16, budget: 320 });
    const covered = (choice: 'random' | 'vocabulary', seed: number) =>
      new Set(choose(wide, single, { choice, seed }).flatMap((index) => [...wide[index]!.ids])).size;
    for (const seed of [1, 2, 3]) expect(covered('vocabulary', seed)).toBeGreaterThan(covered('random', seed) + 20);
  });

  it('draws others with another seed, the same with the same', () => {
    const draw = (seed: number) => choose(candidates, strata, { choice: 'random', seed });
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });
});
