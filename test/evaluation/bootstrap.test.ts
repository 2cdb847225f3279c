import { describe, expect, it } from 'vitest';
import { bootstrapIntervals, type Interval } from '../../src/evaluation/index.js';
import { uniform } from '../reference/tiny-model.js';

const meanOf = { mean: ([sum, count]: readonly number[]) => sum! / count! };

function exponential(length: number, seed: number): Float64Array {
  const next = uniform(seed);
  return Float64Array.from({ length }, () => -Math.log(1 - next()));
}

function intervalOfMean(values: Float64Array, options: { seed: number; resamples?: number; level?: number }): Interval {
  return bootstrapIntervals([values, values.map(() => 1)], meanOf, options).mean!;
}

/** mean ± 1.96 standard errors: what the bootstrap comes to on many values. */
function normalInterval(values: Float64Array): Interval {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  const half = 1.959964 * Math.sqrt(variance / values.length);
  return [mean - half, mean + half];
}

describe('bootstrapIntervals', () => {
  it.each([1, 2, 3])('comes to the normal interval on many values, seed %d', (seed) => {
    const values = exponential(4000, seed);
    const [low, high] = intervalOfMean(values, { seed, resamples: 4000 });
    const [expectedLow, expectedHigh] = normalInterval(values);
    const width = expectedHigh - expectedLow;
    // The 2.5 % quantile of 4000 draws is itself uncertain by about 1 % of the interval's width (one standard error).
    expect(Math.abs(low - expectedLow) / width).toBeLessThan(0.04);
    expect(Math.abs(high - expectedHigh) / width).toBeLessThan(0.04);
  });

  it('covers the true mean about as often as its level says', () => {
    let covered = 0;
    for (let sample = 0; sample < 300; sample++) {
      const [low, high] = intervalOfMean(exponential(150, 1000 + sample), { seed: sample, resamples: 300 });
      if (low <= 1 && 1 <= high) covered++;
    }
    // Percentile intervals of 150 skewed values cover a little less than 95 %; 300 samples tell it to ± 1.3 points.
    expect(covered / 300).toBeGreaterThan(0.9);
    expect(covered / 300).toBeLessThan(0.98);
  });

  it('of a ratio agrees with the delta method', () => {
    const tokens = exponential(3000, 11).map((value) => 1 + value);
    const noise = exponential(3000, 12);
    const loss = tokens.map((count, i) => 2 * count + noise[i]!);
    const total = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0);
    const ratio = total(loss) / total(tokens);
    const residual = loss.map((value, i) => (value - ratio * tokens[i]!) ** 2);
    const half = (1.959964 * Math.sqrt(total(residual))) / total(tokens);
    const { ratio: interval } = bootstrapIntervals(
      [loss, tokens],
      { ratio: ([a, b]) => a! / b! },
      { seed: 5, resamples: 4000 },
    );
    expect(Math.abs(interval![0] - (ratio - half)) / (2 * half)).toBeLessThan(0.04);
    expect(Math.abs(interval![1] - (ratio + half)) / (2 * half)).toBeLessThan(0.04);
  });

  it('draws all statistics together: the difference of a column and itself is always 0', () => {
    const values = exponential(50, 3);
    const { difference } = bootstrapIntervals([values, values], { difference: ([a, b]) => a! - b! }, { seed: 1 });
    expect(difference).toEqual([0, 0]);
  });

  it('gives the same interval for the same seed, another for another', () => {
    const values = exponential(40, 9);
    expect(intervalOfMean(values, { seed: 4 })).toEqual(intervalOfMean(values, { seed: 4 }));
    expect(intervalOfMean(values, { seed: 4 })).not.toEqual(intervalOfMean(values, { seed: 5 }));
  });

  it('has the quantiles of the resamples for ends', () => {
    // Of two passages, a draw's sum is 0, 1 or 2 with chances 1/4, 1/2, 1/4: the middle half is exactly [0.5, 0.5] of the mean.
    const values = Float64Array.of(0, 1);
    const [low, high] = intervalOfMean(values, { seed: 0, level: 0.4 });
    expect([low, high]).toEqual([0.5, 0.5]);
    expect(intervalOfMean(values, { seed: 0, level: 0.9 })).toEqual([0, 1]);
  });

  it('has none from one passage, and none for a statistic that is not finite', () => {
    expect(bootstrapIntervals([Float64Array.of(1)], { sum: ([a]) => a! }, { seed: 0 })).toEqual({});
    const columns = [Float64Array.of(1, 2, Number.NaN), Float64Array.of(1, 2, 3)];
    const intervals = bootstrapIntervals(columns, { bad: ([a]) => a!, good: ([, b]) => b! }, { seed: 0 });
    expect(Object.keys(intervals)).toEqual(['good']);
  });
});
