import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHARTS, cusum, ewma, selfStarting, sharedBy, upperTail } from '../../src/spikes/control-charts.js';
import { uniform } from '../reference/tiny-model.js';

const alarmsIn = (points: readonly { readonly alarm: boolean }[]) => points.filter(({ alarm }) => alarm).length;
/** Standard normal numbers: Box and Muller 1958. */
function gaussian(seed: number): () => number {
  const random = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
const series = (count: number, mean: number, seed: number) => {
  const random = gaussian(seed);
  return Array.from({ length: count }, () => mean + random());
};
/** Values for each alarm: the average run length, as the charts begin again after each. */
const runLength = (points: readonly { readonly alarm: boolean }[]) => points.length / alarmsIn(points);

describe('cusum', () => {
  it('adds up what is above the allowance, never below zero, by hand', () => {
    const points = cusum([1, -3, 2, 2, 2, 0], { k: 0.5, h: 4 });
    expect(points.map(({ value }) => value)).toEqual([0.5, 0, 1.5, 3, 4.5, 0]);
    expect(points.map(({ alarm }) => alarm)).toEqual([false, false, false, false, true, false]);
  });

  // Montgomery, "Introduction to Statistical Quality Control", table 9.3: two-sided run lengths 168, 8.38, 3.34, 2.19 for h = 4
  // and 465, 10.4, 4.01, 2.57 for h = 5; of one side, twice as long in control and the same otherwise.
  it.each([
    [4, 0, 336],
    [4, 1, 8.38],
    [4, 2, 3.34],
    [4, 3, 2.19],
    [5, 0, 930],
    [5, 1, 10.4],
    [5, 2, 4.01],
  ])('has the published run length for h = %d and a shift of %d: %d', (h, shift, expected) => {
    const values = series(shift === 0 ? 1_000_000 : 100_000, shift, 11 + h);
    const found = runLength(cusum(values, { k: 0.5, h }));
    // Some thousand runs each: their mean is within 8 % with four standard errors.
    expect(Math.abs(found / expected - 1)).toBeLessThan(shift === 0 ? 0.12 : 0.03);
  });
});

describe('ewma', () => {
  it('weighs the newest value by λ, with limits that widen, by hand', () => {
    const points = ewma([1, 2, 0], { lambda: 0.5, l: 2 });
    // The second is above its limit, and the average begins again at 0.
    expect(points.map(({ value }) => value)).toEqual([0.5, 1.25, 0]);
    expect(points.map(({ alarm }) => alarm)).toEqual([false, true, false]);
    // 2 · √(1/3 · (1 − (1/2)^{2i})), i beginning again too.
    for (const [i, limit] of [1, 2 * Math.sqrt(5 / 16), 1].entries()) expect(points[i]!.limit).toBeCloseTo(limit, 12);
  });

  it('sounds about once in a thousand values that are in control, and soon after a shift', () => {
    // Table 9.11: 500 for both sides together with λ = 0.25 and L = 2.998, and 11.1 for a shift of 1 with limits that do not widen.
    expect(runLength(ewma(series(1_000_000, 0, 21), CHARTS))).toBeGreaterThan(850);
    expect(runLength(ewma(series(1_000_000, 0, 22), CHARTS))).toBeLessThan(1150);
    expect(runLength(ewma(series(100_000, 1, 23), CHARTS))).toBeLessThan(11.1);
    expect(runLength(ewma(series(100_000, 2, 24), CHARTS))).toBeLessThan(3.6);
  });
});

it('upperTail is the integral of the density', () => {
  // Γ((ν + 1)/2) / (√(νπ) Γ(ν/2)), by the recursion of Γ from 1/π and 1/(2√2).
  const factor = (freedom: number): number =>
    freedom === 1
      ? 1 / Math.PI
      : freedom === 2
        ? 1 / (2 * Math.SQRT2)
        : (factor(freedom - 2) * (freedom - 1)) / Math.sqrt((freedom - 2) * freedom);
  for (const freedom of [1, 2, 3, 4, 5, 8, 31]) {
    for (const t of [0, 0.3, 1.7, 4]) {
      const density = (x: number) => factor(freedom) * (1 + x ** 2 / freedom) ** (-(freedom + 1) / 2);
      const steps = 20_000;
      let between = 0;
      for (let i = 0; i < steps; i += 1) between += (density((t * (i + 0.5)) / steps) * t) / steps;
      expect(upperTail(t, freedom)).toBeCloseTo(0.5 - between, 8);
    }
  }
  // A table's quantiles.
  expect(upperTail(6.3138, 1)).toBeCloseTo(0.05, 5);
  expect(upperTail(4.6041, 4)).toBeCloseTo(0.005, 6);
});

describe('selfStarting', () => {
  const deviates = (values: readonly number[]) => selfStarting(values.map((value) => ({ value, error: 0 })));

  it('does not depend on mean and scale', () => {
    const finite = fc.double({ min: -1e3, max: 1e3, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 3, maxLength: 12 }),
        finite,
        fc.double({ min: 0.1, max: 1e3, noNaN: true }),
        (values, mean, scale) => {
          fc.pre(new Set(values.slice(0, 2)).size > 1);
          const moved = deviates(values.map((value) => mean + scale * value));
          for (const [i, deviate] of deviates(values).entries()) expect(moved[i]).toBeCloseTo(deviate, 4);
        },
      ),
    );
  });

  it('is standard normal and independent where the values are normal, from the third on', () => {
    const random = gaussian(31);
    const runs = Array.from({ length: 4000 }, () => deviates(Array.from({ length: 7 }, () => 12 + 3 * random())));
    for (let i = 0; i < 5; i += 1) {
      const at = runs.map((run) => run[i]!);
      const mean = at.reduce((sum, z) => sum + z, 0) / at.length;
      const variance = at.reduce((sum, z) => sum + (z - mean) ** 2, 0) / at.length;
      // Four standard errors of 4000 values; probit is good to 1 %.
      expect(Math.abs(mean)).toBeLessThan(0.065);
      expect(Math.abs(variance - 1)).toBeLessThan(0.1);
      expect(at.filter((z) => z > 1.6449).length / at.length).toBeGreaterThan(0.036);
      expect(at.filter((z) => z > 1.6449).length / at.length).toBeLessThan(0.064);
    }
    const products = runs.map((run) => run[0]! * run[1]!);
    expect(Math.abs(products.reduce((sum, z) => sum + z, 0) / products.length)).toBeLessThan(0.065);
  });

  it('takes values that agree by chance for no better than they were measured', () => {
    const observed = (error: number) => [1, 1, 1.01].map((value) => ({ value, error }));
    expect(selfStarting(observed(1))[0]).toBeLessThan(0.1);
    expect(selfStarting(observed(1e-9))[0]).toBeGreaterThan(3);
    expect(selfStarting([1, 1, 1].map((value) => ({ value, error: 0 })))).toEqual([0]);
    expect(selfStarting([1, 1, 2].map((value) => ({ value, error: 0 })))).toEqual([8]);
    expect(deviates([1, 2])).toEqual([]);
  });

  it('lets short runs end without a false alarm, and finds a jump in longer ones', () => {
    const random = gaussian(41);
    const sounds = (count: number, from: number, shift: number) => {
      const values = Array.from({ length: count }, (_, i) => 5 + 0.3 * (random() + (i >= from ? shift : 0)));
      const z = deviates(values);
      return alarmsIn(cusum(z, CHARTS)) + alarmsIn(ewma(z, CHARTS)) > 0;
    };
    const share = (count: number, from: number, shift: number) =>
      Array.from({ length: 2000 }, () => sounds(count, from, shift)).filter(Boolean).length / 2000;
    // Measured over 20 000 runs: 0.3 % of runs of five waves, 1.4 % of ten.
    expect(share(5, 5, 0)).toBeLessThan(0.01);
    expect(share(10, 10, 0)).toBeLessThan(0.025);
    // Three waves after a jump of 10 deviations that comes after six waves, or of 5 that comes after ten.
    expect(share(9, 6, 10)).toBeGreaterThan(0.99);
    expect(share(13, 10, 5)).toBeGreaterThan(0.95);
  });
});

it('sharedBy makes many charts together sound as seldom as one', () => {
  const shared = sharedBy(CHARTS, 32);
  expect(sharedBy(CHARTS, 1)).toEqual(CHARTS);
  const values = series(1_000_000, 0, 51);
  // 32 charts with a run length of 10 752 each; some 100 alarms.
  expect(runLength(cusum(values, shared))).toBeGreaterThan(7500);
  expect(runLength(ewma(values, shared))).toBeGreaterThan(16_000);
});
