import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareScores, type PassageScore, summarize } from '../../src/evaluation/index.js';

const score = (tokens: number, negativeLogLikelihood: number, correct: number): PassageScore => ({
  tokens,
  negativeLogLikelihood,
  correct,
});

describe('summarize', () => {
  it('pools tokens over passages: long passages count for more', () => {
    // 4 tokens at ln 2, 12 at ln 16: exp((4 ln 2 + 12 ln 16) / 16) = 2^(52/16).
    const figures = summarize([score(4, 4 * Math.log(2), 1), score(12, 12 * Math.log(16), 7)], { seed: 0 });
    expect(figures.perplexity).toBeCloseTo(2 ** 3.25, 12);
    expect(figures.accuracy).toBe(0.5);
    expect(figures).toMatchObject({ tokens: 16, passages: 2 });
    expect(figures.intervals.perplexity).toEqual([expect.closeTo(2, 12), expect.closeTo(16, 12)]);
  });

  it('has no interval from one passage, and no figure without tokens', () => {
    expect(summarize([score(3, 3, 1)], { seed: 0 }).intervals).toEqual({});
    expect(summarize([], { seed: 0 })).toMatchObject({ perplexity: Number.NaN, accuracy: Number.NaN, tokens: 0 });
  });

  it('holds a perplexity that is not finite, without an interval for it', () => {
    const figures = summarize([score(3, Number.NaN, 1), score(3, 3, 2)], { seed: 0 });
    expect(figures.perplexity).toBeNaN();
    expect(Object.keys(figures.intervals)).toEqual(['accuracy']);
  });
});

describe('compareScores', () => {
  const base = [score(100, 300, 60), score(100, 100, 40)];
  const now = [score(100, 320, 57), score(100, 120, 40)];

  it('relates loss and ratio to the base', () => {
    const comparison = compareScores(base, now, { seed: 0 });
    expect(comparison.accuracyLoss).toBe(0.03);
    expect(comparison.perplexityRatio).toBeCloseTo(Math.exp(0.2), 12);
    expect(comparison).not.toHaveProperty('kl');
    // Both passages lose 20 nats, so every draw has the same ratio; the passages differ in accuracy loss: 5 % and none.
    expect(comparison.intervals.perplexityRatio).toEqual([
      expect.closeTo(Math.exp(0.2), 12),
      expect.closeTo(Math.exp(0.2), 12),
    ]);
    expect(comparison.intervals.accuracyLoss).toEqual([0, 0.05]);
  });

  it('is the same number as a decimal limit wherever the two are equal', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50_000 }), fc.integer({ min: 1, max: 99 }), (hundreds, percent) => {
        const dense = [score(10_000_000, 1, 100 * hundreds)];
        const lossy = [score(10_000_000, 1, (100 - percent) * hundreds)];
        expect(compareScores(dense, lossy, { seed: 0 }).accuracyLoss).toBe(Number(`${percent}e-2`));
      }),
    );
  });

  it('has shares of tokens and mean divergence when tokens were compared', () => {
    const comparisons = [
      { divergence: 5, sameTop: 90, lost: 5, gained: 2 },
      { divergence: 1, sameTop: 96, lost: 1, gained: 1 },
    ];
    const comparison = compareScores(base, now, { seed: 0, comparisons });
    expect(comparison).toMatchObject({ kl: 0.03, agreement: 0.93, lost: 0.03, gained: 0.015, flips: 0.045 });
    expect(comparison.intervals.kl).toEqual([0.01, 0.05]);
    expect(Object.keys(comparison.intervals).sort()).toEqual(
      ['accuracyLoss', 'agreement', 'flips', 'gained', 'kl', 'lost', 'perplexityRatio'].sort(),
    );
  });

  it('of scores with themselves is no loss at all, exactly', () => {
    const comparison = compareScores(base, base, { seed: 3 });
    expect(comparison).toMatchObject({ accuracyLoss: 0, perplexityRatio: 1 });
    expect(comparison.intervals).toEqual({ accuracyLoss: [0, 0], perplexityRatio: [1, 1] });
  });

  it('has no loss relative to a base that is never right', () => {
    expect(compareScores([score(9, 9, 0)], [score(9, 9, 3)], { seed: 0 }).accuracyLoss).toBe(Number.NEGATIVE_INFINITY);
    expect(compareScores([score(9, 9, 0)], [score(9, 9, 0)], { seed: 0 }).accuracyLoss).toBeNaN();
  });

  it('takes scores that were kept as JSON for what they were: a NaN stays one', () => {
    const broken = [score(9, Number.NaN, 3), score(9, 9, 3)];
    const kept = JSON.parse(JSON.stringify(broken)) as PassageScore[];
    expect(summarize(kept, { seed: 0 })).toEqual(summarize(broken, { seed: 0 }));
    const sound = [score(9, 9, 3), score(9, 9, 3)];
    expect(compareScores(kept, sound, { seed: 0 }).perplexityRatio).toBeNaN();
    expect(compareScores(sound, kept, { seed: 0 }).perplexityRatio).toBeNaN();
  });

  it('refuses scores of other passages', () => {
    expect(() => compareScores(base, now.slice(1), { seed: 0 })).toThrow(/different passages/);
    expect(() => compareScores(base, [score(99, 1, 1), score(101, 1, 1)], { seed: 0 })).toThrow(/different passages/);
    expect(() => compareScores(base, now, { seed: 0, comparisons: [] })).toThrow(/other passages/);
  });
});
