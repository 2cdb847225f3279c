import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Choice, fitChoices } from '../../src/quantization/index.js';

const itemsOf = fc.array(
  fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 400 }), error: fc.integer({ min: 0, max: 1000 }) }), {
    minLength: 1,
    maxLength: 4,
  }),
  { minLength: 1, maxLength: 5 },
);

const total = (items: readonly (readonly Choice[])[], taken: readonly number[], field: keyof Choice) =>
  taken.reduce((sum, place, item) => sum + items[item]![place]![field], 0);

/** The least error of all combinations that fit; Infinity where none does. */
function byTrial(items: readonly (readonly Choice[])[], budget: number): number {
  const [first, ...rest] = items;
  if (first === undefined) return budget >= 0 ? 0 : Number.POSITIVE_INFINITY;
  return Math.min(...first.map(({ bytes, error }) => error + byTrial(rest, budget - bytes)));
}

function combinations([first, ...rest]: readonly (readonly Choice[])[]): Choice[] {
  if (first === undefined) return [{ bytes: 0, error: 0 }];
  const others = combinations(rest);
  return first.flatMap((own) =>
    others.map(({ bytes, error }) => ({ bytes: own.bytes + bytes, error: own.error + error })),
  );
}

describe('fitChoices', () => {
  it('finds the least error of all combinations that fit', () => {
    fc.assert(
      fc.property(itemsOf, fc.integer({ min: 1, max: 1200 }), (items, budget) => {
        const expected = byTrial(items, budget);
        const taken = fitChoices(items, budget);
        if (expected === Number.POSITIVE_INFINITY) {
          expect(taken).toBeUndefined();
          return;
        }
        expect(total(items, taken!, 'bytes')).toBeLessThanOrEqual(budget);
        expect(total(items, taken!, 'error')).toBe(expected);
      }),
    );
  });

  it('finds the least error of the combinations that come to the least size too, where there are any', () => {
    fc.assert(
      fc.property(
        itemsOf,
        fc.integer({ min: 1, max: 1200 }),
        fc.integer({ min: 1, max: 100 }),
        (items, most, width) => {
          const least = most - width;
          const useful = items.map((choices) =>
            choices.filter(({ bytes, error }) => !choices.some((one) => one.error < error && one.bytes <= bytes)),
          );
          const fitting = combinations(useful).filter(({ bytes }) => bytes <= most);
          const filling = fitting.filter(({ bytes }) => bytes >= least);
          const expected = Math.min(...(filling.length > 0 ? filling : fitting).map(({ error }) => error));
          const taken = fitChoices(items, most, least);
          if (fitting.length === 0) {
            expect(taken).toBeUndefined();
            return;
          }
          // What room is left afterwards may still buy less error.
          expect(total(items, taken!, 'error')).toBeLessThanOrEqual(expected);
          expect(total(items, taken!, 'bytes')).toBeLessThanOrEqual(most);
          if (filling.length > 0) expect(total(items, taken!, 'bytes')).toBeGreaterThanOrEqual(least);
        },
      ),
    );
  });

  it('fills a budget of real sizes to within 1 %, and never beyond it', () => {
    const matrices = Array.from({ length: 224 }, (_, i) => 4096 * [4096, 1024, 14_336][i % 3]!);
    const items = matrices.map((weights, i) =>
      [2, 3, 4, 6, 8].map((bits) => {
        return { bytes: (weights * (bits + 0.25)) / 8, error: weights * (1 + (i % 7)) * 4 ** -bits };
      }),
    );
    const all = matrices.reduce((sum, weights) => sum + weights, 0);
    for (const bits of [2.5, 3.1, 4.5, 7]) {
      const budget = (all * bits) / 8;
      const taken = fitChoices(items, budget)!;
      expect(total(items, taken, 'bytes') / budget).toBeGreaterThan(0.99);
      expect(total(items, taken, 'bytes') / budget).toBeLessThanOrEqual(1);
    }
  });

  it('gives more bits to what is more sensitive', () => {
    const choices = (weight: number) => [2, 4, 8].map((bits) => ({ bytes: bits * 100, error: weight * 4 ** -bits }));
    expect(fitChoices([choices(1), choices(1000), choices(1)], 1200)).toEqual([0, 2, 0]);
  });

  it('takes nothing more than it needs for errors that are equal', () => {
    const same = [
      { bytes: 10, error: 0 },
      { bytes: 20, error: 0 },
    ];
    expect(fitChoices([same, same], 100)).toEqual([0, 0]);
  });
});
