import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { metrics } from '../../src/importance/index.js';
import type { ScoredLinear } from '../../src/pruning/index.js';
import { ComparisonBuilder, type ComparisonOptions, removals } from '../../src/scoring/comparison.js';
import { samplePositions } from '../../src/scoring/sampling.js';
import { countAbove } from '../../src/scoring/threshold.js';
import { type FreePattern, parsePattern } from '../../src/sparsity/index.js';

/** One 2 × 4 matrix scored by magnitude (which ranks in the matrix) and Wanda (which ranks in rows). */
function linear(magnitude: readonly number[], wanda: readonly number[], weight = 'w'): ScoredLinear {
  const [rows, columns] = [2, 4];
  const scoresOf = (values: readonly number[]) => ({ name: weight, rows, columns, values: Float32Array.from(values) });
  return {
    block: 0,
    spec: { role: 'q', input: 'attention-norm', weight, rows, columns },
    scores: new Map([
      ['magnitude', scoresOf(magnitude)],
      ['wanda', scoresOf(wanda)],
    ]),
  };
}

async function compare(linears: readonly ScoredLinear[], sparsity = 0.5) {
  const pattern = (await parsePattern('unstructured')) as FreePattern;
  const options: ComparisonOptions = { sparsity, pattern, weights: 8 * linears.length };
  const chosen = new Map([
    ['magnitude', await metrics.load('magnitude')],
    ['wanda', await metrics.load('wanda')],
  ]);
  const builder = new ComparisonBuilder(['magnitude', 'wanda'], options);
  for (const each of linears) builder.add(each, removals(each, chosen, options));
  return builder.finish();
}

describe('a comparison of two metrics', () => {
  it('has overlap and rank correlation, by hand', async () => {
    // Magnitude removes the 4 smallest of all: indices 0–3. Wanda removes 2 of each row: 0, 1 and 4, 5. Both: 2 of 6.
    const { all, matrices, overlapByChance } = await compare([
      linear([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 1, 2, 3, 4]),
    ]);
    // Midranks of Wanda's: 1.5, 3.5, 5.5, 7.5 twice; Σ (rank difference)² = 22, and ρ with ties is 0.4880.
    expect(all.overlap).toBe(2 / 6);
    expect(all.rankCorrelation).toBeCloseTo(0.48795, 4);
    expect(all.sampled).toBe(8);
    expect(matrices).toEqual([{ name: 'w', block: 0, role: 'q', ...all }]);
    expect(overlapByChance).toBeCloseTo(1 / 3, 12);
  });

  it('adds the weights of all matrices up, not their ratios', async () => {
    const same = linear([1, 2, 7, 8, 3, 4, 5, 6], [1, 2, 7, 8, 3, 4, 5, 6], 'a');
    const other = linear([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 1, 2, 3, 4], 'b');
    const { all, matrices } = await compare([same, other]);
    expect(matrices.map(({ overlap }) => overlap)).toEqual([1, 2 / 6]);
    expect(all.overlap).toBe((4 + 2) / (4 + 6));
  });

  it('has no correlation where a metric tells nothing apart, and no overlap where nothing goes', async () => {
    const flat = await compare([linear([1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 1, 1, 1, 1, 1, 1])]);
    expect(flat.all.rankCorrelation).toBeNull();
    const nothing = await compare([linear([1, 2, 3, 4, 5, 6, 7, 8], [8, 7, 6, 5, 4, 3, 2, 1])], 0.1);
    expect(nothing.all).toMatchObject({ rankCorrelation: -1, overlap: null });
  });

  it('counts what is above a threshold, not at it', () => {
    expect(countAbove(Float32Array.of(0, 1, 2, 2, 3), 2)).toBe(1);
    expect(countAbove(Float32Array.of(0, 1), 0)).toBe(1);
  });
});

describe('a sample', () => {
  it('has as many different positions as were wanted, or all there are', () => {
    const sizes = fc.tuple(fc.integer({ min: 1, max: 1_000_000 }), fc.integer({ min: 1, max: 5000 }));
    fc.assert(
      fc.property(sizes, ([size, wanted]) => {
        const positions = samplePositions(size, wanted);
        expect(new Set(positions).size).toBe(positions.length);
        expect(positions.every((position) => position < size)).toBe(true);
        // Points of the sequence come no nearer than 0.38 / n to each other: none fall together where there is room.
        if (size <= wanted || size > 3 * wanted) expect(positions.length).toBe(Math.min(size, wanted));
        expect(positions.length).toBeGreaterThan(Math.min(size, wanted) / 2);
      }),
    );
  });

  it.each([64, 256, 768, 4096])('does not keep time with %i columns', (columns) => {
    const positions = samplePositions(columns * columns, 4096);
    const seen = new Set(Array.from(positions, (position) => position % columns));
    // Positions a whole number of rows apart would meet a few columns only.
    expect(seen.size).toBeGreaterThan(Math.min(columns * 0.9, 4096 * 0.5));
  });
});
