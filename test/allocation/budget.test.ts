import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BudgetMatrix, budgetOf, fitBudget } from '../../src/allocation/budget.js';
import { levelsAround, waterFill } from '../../src/allocation/error.js';
import { blockSparsities } from '../../src/allocation/owl.js';

function matrix(name: string, elements: number, gone = 0): BudgetMatrix {
  return { name, block: 0, elements, gone };
}

const matrices = fc
  .array(
    fc.record({ elements: fc.integer({ min: 1, max: 5000 }), gone: fc.double({ min: 0, max: 0.5, noNaN: true }) }),
    {
      minLength: 1,
      maxLength: 12,
    },
  )
  .map((all) => all.map(({ elements, gone }, i) => matrix(`m${i}`, elements, Math.floor(gone * elements))));

const sumOf = (counts: Iterable<number>) => [...counts].reduce((total, count) => total + count, 0);

describe('fitBudget', () => {
  it('meets every budget exactly, in whole weights, and takes back none that are gone', async () => {
    await fc.assert(
      fc.asyncProperty(
        matrices,
        fc.array(fc.double({ min: -1, max: 2, noNaN: true }), { minLength: 12, maxLength: 12 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (all, wanted, share) => {
          const gone = sumOf(all.map((each) => each.gone));
          const total = sumOf(all.map(({ elements }) => elements));
          const budget = Math.floor(gone + share * (total - gone));
          const counts = fitBudget(all, ({ name }) => wanted[Number(name.slice(1))]!, budget);
          expect(sumOf(counts.values())).toBe(budget);
          for (const each of all) {
            const count = counts.get(each.name)!;
            expect(Number.isInteger(count)).toBe(true);
            expect(count).toBeGreaterThanOrEqual(each.gone);
            expect(count).toBeLessThanOrEqual(each.elements);
          }
        },
      ),
      { numRuns: 500, seed: 1 },
    );
  });

  it('leaves fractions that meet the budget as they are', () => {
    const all = [matrix('a', 100), matrix('b', 300)];
    const counts = fitBudget(all, ({ name }) => ({ a: 0.8, b: 0.4 })[name]!, 200);
    expect([...counts]).toEqual([
      ['a', 80],
      ['b', 120],
    ]);
  });

  it('moves all fractions alike, and gives the odd weight to the largest remainder, of equals the first', () => {
    const all = [matrix('a', 10), matrix('b', 10), matrix('c', 10)];
    expect([...fitBudget(all, () => 0.1, 16).values()]).toEqual([6, 5, 5]);
    expect([...fitBudget(all, ({ name }) => (name === 'c' ? 0.42 : 0.4), 13).values()]).toEqual([4, 4, 5]);
  });

  it('leaves a hundredth of every matrix, unless the budget asks for that too', () => {
    const all = [matrix('a', 1000), matrix('b', 1000)];
    const greedy = ({ name }: BudgetMatrix) => (name === 'a' ? 5 : 0);
    expect([...fitBudget(all, greedy, 1500).values()]).toEqual([990, 510]);
    expect(sumOf(fitBudget(all, greedy, 1995).values())).toBe(1995);
  });

  it('returns what is gone where that is more than the budget', () => {
    expect([...fitBudget([matrix('a', 10, 4), matrix('b', 10, 3)], () => 0.2, 4).values()]).toEqual([4, 3]);
  });

  it('counts the budget as sparsity does elsewhere: ⌊weights · sparsity⌋ of the decimal that is meant', () => {
    expect(budgetOf([matrix('a', 60), matrix('b', 40)], 0.29)).toBe(29);
  });
});

describe('OWL', () => {
  it('spreads sparsities by twice λ about the target: fewest outliers most, most outliers least', () => {
    // r = 0, 0.08, 0.16 of 2λ = 0.16; their mean is 0.08.
    const sparsities = blockSparsities([0.01, 0.02, 0.03], 0.7);
    [0.78, 0.7, 0.62].forEach((expected, i) => {
      expect(sparsities[i]).toBeCloseTo(expected, 12);
    });
  });

  it('is uniform where all blocks are alike', () => {
    expect(blockSparsities([0.02, 0.02], 0.5)).toEqual([0.5, 0.5]);
  });
});

describe('water-filling', () => {
  const levels = [0.5, 0.6, 0.7, 0.8, 0.9];

  it('removes where the next weights cost the least error: here a closed form', () => {
    // Errors a·s² of equal matrices: marginal errors are equal where a₁ s₁ = a₂ s₂; curves joined at the levels come near it.
    const all = [matrix('cheap', 1000), matrix('dear', 1000)];
    const curves = new Map([
      ['cheap', levels.map((s) => 3 * s ** 2)],
      ['dear', levels.map((s) => 4 * s ** 2)],
    ]);
    const shares = waterFill(all, { levels, curves }, 1400);
    expect(shares.get('cheap')! + shares.get('dear')!).toBeCloseTo(1.4, 12);
    expect(shares.get('cheap')).toBeCloseTo(0.8, 1);
    expect(shares.get('dear')).toBeCloseTo(0.6, 1);
  });

  it('finds no better division of its own measured errors by exhaustive search', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 5, maxLength: 5 }), {
          minLength: 2,
          maxLength: 3,
        }),
        fc.integer({ min: 0, max: 4 }),
        async (steps, middle) => {
          const all = steps.map((_, i) => matrix(`m${i}`, 100));
          // Rising, convex errors: what is searched are all divisions in whole levels.
          const curves = new Map(
            steps.map((own, i) => {
              const slopes = [...own].sort((a, b) => a - b);
              return [`m${i}`, levels.map((_, k) => slopes.slice(0, k).reduce((sum, slope) => sum + slope, 0))];
            }),
          );
          const budget = Math.round(all.length * 100 * levels[middle]!);
          const shares = waterFill(all, { levels, curves }, budget);
          const errorAt = (name: string, share: number) => {
            const place = Math.min(3, Math.max(0, Math.floor((share - 0.5) / 0.1 + 1e-9)));
            const curve = curves.get(name)!;
            return curve[place]! + ((share - levels[place]!) / 0.1) * (curve[place + 1]! - curve[place]!);
          };
          const found = all.reduce((sum, { name }) => sum + errorAt(name, shares.get(name)!), 0);
          expect(found).toBeLessThanOrEqual(bestByWholeLevels([...curves.values()], middle * all.length) + 1e-6);
        },
      ),
      { numRuns: 200, seed: 2 },
    );
  });

  it('measures two steps below and above the target, within what can be removed', () => {
    expect(levelsAround(0.7).map((level) => level.toFixed(2))).toEqual(['0.60', '0.65', '0.70', '0.75', '0.80']);
    expect(levelsAround(0.05).map((level) => level.toFixed(2))).toEqual(['0.00', '0.05', '0.10', '0.15']);
  });
});

/** The least sum of errors when the level numbers of all curves add up to `steps`. */
function bestByWholeLevels(curves: readonly (readonly number[])[], steps: number): number {
  const [first, ...rest] = curves;
  if (first === undefined) return steps === 0 ? 0 : Number.POSITIVE_INFINITY;
  const choices = first.map(
    (error, level) => error + (level <= steps ? bestByWholeLevels(rest, steps - level) : Number.POSITIVE_INFINITY),
  );
  return Math.min(...choices);
}
