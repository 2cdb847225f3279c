import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  breakEvenRank,
  chooseRanks,
  factorParameters,
  largestUsefulRank,
  lossAt,
  mostRank,
  rankAtRatio,
  ranksOfShapes,
  type Spectrum,
} from '../../src/lowrank/index.js';

const shapeOf = (rows: number, columns: number) => ({ rows, columns });

describe('break-even', () => {
  it("of Mistral's matrices is at 819.2, 2048 and 3185.8", () => {
    expect(breakEvenRank(shapeOf(1024, 4096))).toBeCloseTo(819.2, 9);
    expect(breakEvenRank(shapeOf(4096, 4096))).toBe(2048);
    expect(breakEvenRank(shapeOf(14336, 4096))).toBeCloseTo(3185.8, 1);
  });

  it('is not reached by the largest useful rank, and is by the next one', () => {
    const side = fc.integer({ min: 1, max: 5000 });
    fc.assert(
      fc.property(side, side, (rows, columns) => {
        const most = largestUsefulRank({ rows, columns });
        expect(factorParameters({ rows, columns }, most)).toBeLessThan(rows * columns);
        expect(factorParameters({ rows, columns }, most + 1)).toBeGreaterThanOrEqual(rows * columns);
      }),
    );
  });

  it('leaves out at least the ratio, and no rank more would', () => {
    const side = fc.integer({ min: 2, max: 3000 });
    fc.assert(
      fc.property(side, side, fc.integer({ min: 1, max: 99 }), (rows, columns, percent) => {
        const shape = { rows, columns };
        const rank = rankAtRatio(shape, percent / 100);
        const kept = (100 - percent) * rows * columns;
        expect(100 * factorParameters(shape, rank)).toBeLessThanOrEqual(kept);
        expect(100 * factorParameters(shape, rank + 1)).toBeGreaterThan(kept);
      }),
    );
  });
});

function spectrum(name: string, rows: number, columns: number, energies: readonly number[]): Spectrum {
  return { name, rows, columns, energies: Float64Array.from(energies), total: energies.reduce((a, b) => a + b, 0) };
}

describe('ranks', () => {
  const steep = spectrum('steep', 8, 8, [90, 6, 2, 1, 0.5, 0.3, 0.1, 0.1]);
  const flat = spectrum('flat', 8, 8, [1, 1, 1, 1, 1, 1, 1, 1]);

  it('by energy are the least that keep it; where that is not below break-even the matrix stays', () => {
    const [first, second] = chooseRanks({ kind: 'energy', energy: 0.95 }, [steep, flat]);
    expect(first).toMatchObject({ rank: 2, parameters: { before: 64, after: 32 } });
    expect(first!.loss).toBeCloseTo(0.04, 12);
    expect(second!.rank).toBeUndefined();
    expect(second!.reason).toMatch(
      /keeps 0.95 of its energy; factors hold fewer numbers than the matrix below rank 4 only/,
    );
    expect(second!.parameters.after).toBe(64);
  });

  it('that are asked for stay below break-even, with the reason where they do not', () => {
    const [, small] = ranksOfShapes({ kind: 'rank', rank: 3 }, [
      { name: 'large', rows: 20, columns: 20 },
      { name: 'small', rows: 4, columns: 9 },
    ]);
    expect(small!.reason).toMatch(/rank 3 is asked for; .* below rank 2.8 only/);
    expect(() => ranksOfShapes({ kind: 'rank', rank: 10 }, [{ name: 'large', rows: 20, columns: 20 }])).toThrow(
      /With rank 10 no matrix of the model gets smaller \(large: /,
    );
  });

  it('by ratio are the same share of each', () => {
    const [one, other] = chooseRanks({ kind: 'ratio', ratio: 0.5 }, [steep, flat]);
    expect([one!.rank, other!.rank]).toEqual([2, 2]);
    expect(other!.loss).toBeCloseTo(0.75, 12);
  });

  it('that a rule can ask for are known before the spectrum', () => {
    expect(mostRank({ kind: 'ratio', ratio: 0.5 }, steep)).toBe(2);
    expect(mostRank({ kind: 'rank', rank: 100 }, steep)).toBe(3);
    expect(mostRank({ kind: 'energy', energy: 0.9 }, steep)).toBe(3);
  });
});

describe('a budget', () => {
  it('goes where it wins most: the matrix with a flat spectrum stays whole', () => {
    const steep = spectrum('steep', 8, 8, [90, 6, 2, 1, 0.5, 0.3, 0.1, 0.1]);
    const flat = spectrum('flat', 8, 8, [1, 1, 1, 1, 1, 1, 1, 1]);
    const [first, second] = chooseRanks({ kind: 'budget', ratio: 0.3 }, [steep, flat]);
    expect(first!.rank).toBe(1);
    expect(second!.rank).toBeUndefined();
    expect(second!.reason).toMatch(/less loss elsewhere/);
  });

  it('is met, and is no worse than the same ratio everywhere or any single exchange of ranks', () => {
    const size = fc.integer({ min: 4, max: 14 });
    const matrix = fc
      .tuple(size, size, fc.array(fc.double({ min: 0.001, max: 1, noNaN: true }), { minLength: 14, maxLength: 14 }))
      .map(([rows, columns, numbers]) => {
        const energies = numbers.slice(0, Math.min(rows, columns)).sort((a, b) => b - a);
        return spectrum('m', rows, columns, energies);
      });
    fc.assert(
      fc.property(
        fc.array(matrix, { minLength: 2, maxLength: 5 }),
        fc.integer({ min: 5, max: 40 }),
        (spectra, percent) => {
          const ratio = percent / 100;
          const choices = chooseRanks({ kind: 'budget', ratio }, spectra);
          const whole = spectra.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
          const used = choices.reduce((sum, { parameters }) => sum + parameters.after, 0);
          const left = Math.floor((1 - ratio) * whole) - used;
          expect(left).toBeGreaterThanOrEqual(0);
          // No rank more fits anywhere that would win something.
          choices.forEach(({ rank, rows, columns }, i) => {
            if (rank === undefined || rank >= largestUsefulRank(spectra[i]!)) return;
            expect(rows + columns).toBeGreaterThan(left);
          });
          // A greedy choice along convex hulls is at most one step from the best: the largest single gain.
          const lost = choices.reduce((sum, { rank, loss }) => sum + (rank === undefined ? 0 : loss!), 0);
          const best = bestLoss(spectra, Math.floor((1 - ratio) * whole));
          const step = Math.max(...spectra.map((each) => lossAt(each, 1) / each.total));
          expect(lost).toBeLessThanOrEqual(best + step + 1e-9);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('that even rank 1 everywhere does not meet is refused, with what is possible', () => {
    const thin = spectrum('thin', 4, 6, [3, 2, 1, 1]);
    expect(() => chooseRanks({ kind: 'budget', ratio: 0.6 }, [thin])).toThrow(
      /rank 1 hold 10 of 24 .* removes 0\.583 /,
    );
  });
});

/** The least sum of relative losses within so many parameters, by trying all of them. */
function bestLoss(spectra: readonly Spectrum[], budget: number): number {
  const [first, ...rest] = spectra;
  if (first === undefined) return 0;
  let best = Number.POSITIVE_INFINITY;
  const { rows, columns } = first;
  const options = Array.from({ length: largestUsefulRank(first) }, (_, i) => ({
    parameters: factorParameters(first, i + 1),
    loss: lossAt(first, i + 1) / first.total,
  }));
  for (const { parameters, loss } of [...options, { parameters: rows * columns, loss: 0 }]) {
    if (parameters <= budget) best = Math.min(best, loss + bestLoss(rest, budget - parameters));
  }
  return best;
}
