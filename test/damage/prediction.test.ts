import { describe, expect, it } from 'vitest';
import { predictError, predictWave } from '../../src/damage/index.js';
import { uniform } from '../reference/tiny-model.js';

const PRIOR = { exponent: 1.5, exponentDeviation: 0.5, scatter: 0.1, confidence: 2 };
const power = (removed: number, exponent = 2) => ({ removed, error: 0.8 * removed ** exponent });

describe('predictError', () => {
  it('is the posterior that integration gives', () => {
    // Two observations; the posterior of a, b, σ on a grid, a flat, b normal about 1.5 with deviation 5 σ, σ² scaled inverse χ².
    const past = [
      { removed: 0.2, error: 0.05 },
      { removed: 0.4, error: 0.2 },
    ];
    const at = Math.log(0.6);
    const [x, y] = [past.map(({ removed }) => Math.log(removed)), past.map(({ error }) => Math.log(error))];
    const middle = { x: (x[0]! + x[1]!) / 2, y: (y[0]! + y[1]!) / 2 };
    const weights: { value: number; variance: number; weight: number }[] = [];
    for (let logSigma = -4; logSigma < 3; logSigma += 0.2) {
      const sigma = Math.exp(logSigma);
      for (let b = -3; b < 6; b += 0.1) {
        for (let u = -5; u <= 5; u += 0.5) {
          const means = x.map((value) => middle.y + sigma * u + b * (value - middle.x));
          const squares = means.reduce((total, mean, i) => total + (y[i]! - mean) ** 2, 0);
          const slope = (b - PRIOR.exponent) ** 2 / (PRIOR.exponentDeviation / PRIOR.scatter) ** 2;
          // p(σ²) ∝ σ^{−2(ν/2 + 1)} exp(−ν s²/2σ²), b and the data each σ^{−1}; dσ² = 2 σ² d ln σ, and the level's step is σ du.
          const log =
            -(squares + slope + PRIOR.confidence * PRIOR.scatter ** 2) / (2 * sigma ** 2) -
            (2 + PRIOR.confidence) * logSigma;
          const value = middle.y + sigma * u + b * (at - middle.x);
          weights.push({ value, variance: sigma ** 2, weight: Math.exp(log) });
        }
      }
    }
    const total = weights.reduce((sum, { weight }) => sum + weight, 0);
    const mean = weights.reduce((sum, { value, weight }) => sum + value * weight, 0) / total;
    const found = predictError(past, 0.6, PRIOR)!;
    expect(Math.log(found.expected)).toBeCloseTo(mean, 2);
    // P(next > high) over the posterior.
    const above = weights.reduce((sum, { value, variance, weight }) => {
      return sum + weight * normalTail((Math.log(found.high) - value) / Math.sqrt(variance));
    }, 0);
    expect(above / total).toBeCloseTo(0.05, 2);
  });

  it('follows a law that it has seen, and is surer the more it has seen', () => {
    const widthAfter = (count: number) => {
      const past = Array.from({ length: count }, (_, i) => power(0.1 + 0.08 * i));
      const { expected, low, high } = predictError(past, 0.7, PRIOR)!;
      expect(low).toBeLessThan(expected);
      if (count > 3) expect(expected / power(0.7).error).toBeCloseTo(1, 1);
      return high / low;
    };
    const widths = [1, 2, 4, 6].map(widthAfter);
    expect(widths).toEqual([...widths].sort((left, right) => right - left));
  });

  it('goes by what is known of other models after one wave', () => {
    const { expected } = predictError([power(0.2)], 0.4, PRIOR)!;
    expect(expected).toBeCloseTo(power(0.2).error * 2 ** 1.5, 12);
  });

  it('has the coverage that it claims, where errors scatter as the prior says', () => {
    const random = uniform(9);
    const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    let inside = 0;
    for (let run = 0; run < 2000; run += 1) {
      // σ² from its prior: ν s² / χ²_ν, ν = 2.
      const sigma = Math.sqrt((2 * PRIOR.scatter ** 2) / (normal() ** 2 + normal() ** 2));
      const exponent = PRIOR.exponent + (PRIOR.exponentDeviation / PRIOR.scatter) * sigma * normal();
      const level = normal();
      const next = (removed: number) => Math.exp(level + exponent * Math.log(removed) + sigma * normal());
      const past = [0.1, 0.3, 0.5].map((removed) => ({ removed, error: next(removed) }));
      const { low, high } = predictError(past, 0.7, PRIOR)!;
      const error = next(0.7);
      if (error >= low && error <= high) inside += 1;
    }
    // 90 % within three standard errors of 2000 runs.
    expect(Math.abs(inside / 2000 - 0.9)).toBeLessThan(0.02);
  });

  it('says nothing where nothing is known', () => {
    expect(predictError([], 0.5, PRIOR)).toBeUndefined();
    expect(predictError([{ removed: 0, error: 0 }], 0.5, PRIOR)).toBeUndefined();
    expect(predictError([{ removed: 0.2, error: Number.NaN }], 0.5, PRIOR)).toBeUndefined();
    expect(predictError([power(0.2)], 0, PRIOR)).toBeUndefined();
  });
});

/** P(Z > z): Abramowitz & Stegun 26.2.17. */
function normalTail(z: number): number {
  if (z < 0) return 1 - normalTail(-z);
  const t = 1 / (1 + 0.2316419 * z);
  const poly = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * poly.reduce((sum, c, i) => sum + c * t ** (i + 1), 0);
}

describe('predictWave', () => {
  const wave = (first: number, second: number, errors: readonly number[], kl?: number) => ({
    layers: [
      { name: 'a.0', sparsity: first },
      { name: 'a.1', sparsity: second },
      { name: 'head', sparsity: 0 },
    ],
    blocks: { errors },
    figures: { ...(kl !== undefined && { kl }) },
  });
  const blockOf = (name: string) => (name === 'head' ? undefined : Number(name.split('.')[1]));

  it('goes by what is removed in each block and before it, and keeps what happened', () => {
    const past = [wave(0.2, 0.4, [0.1, 0.3], 0.01)];
    const found = predictWave(past, wave(0.4, 0.8, [0.25, 0.7], 0.2), blockOf)!;
    expect(found).toMatchObject({
      learntFrom: 1,
      blocks: [
        { block: 0, actual: 0.25 },
        { block: 1, actual: 0.7 },
      ],
    });
    expect(found.blocks[0]!.expected).toBeCloseTo(0.1 * 2 ** 1.5, 12);
    expect(found.kl).toMatchObject({ actual: 0.2 });
    expect(found.kl!.expected).toBeCloseTo(0.01 * 2 ** 3, 12);
  });

  it('leaves out blocks of which nothing is known, and says nothing without waves before', () => {
    const past = [wave(0, 0.4, [0, 0.3])];
    expect(predictWave(past, wave(0, 0.8, [0, 0.7]), blockOf)!.blocks.map(({ block }) => block)).toEqual([1]);
    expect(predictWave([], wave(0.4, 0.8, [0.2, 0.7], 0.1), blockOf)).toBeUndefined();
    const { blocks: _, ...unwatched } = wave(0.2, 0.4, []);
    expect(predictWave([unwatched], wave(0.4, 0.8, [0.2, 0.7]), blockOf)).toBeUndefined();
  });
});
