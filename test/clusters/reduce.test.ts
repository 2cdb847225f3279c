import { describe, expect, it } from 'vitest';
import { type Features, reduce } from '../../src/clusters/index.js';
import { exactDirections, randomisedDirections } from '../../src/clusters/principal.js';
import { seededRandom } from '../../src/random.js';
import { normal, pointsOf } from './planted.js';

const SIX = pointsOf([
  [2, 0, 1, 3],
  [1, 1, 4, 0],
  [0, 3, 2, 2],
  [5, 1, 0, 1],
  [3, 3, 3, 3],
  [2, 4, 1, 0],
]);

it('has the components, scores and fractions that scikit-learn 1.2.1 has, but for signs', () => {
  const { features, components, explained, means, algorithm } = reduce(SIX, { variance: 1 });
  expect(algorithm).toBe('exact');
  const fractions = [0.44764584387657513, 0.2567660021028, 0.179128392666141, 0.11645976135448409];
  for (const [i, fraction] of fractions.entries()) expect(explained[i]!).toBeCloseTo(fraction, 13);
  const theirs = [
    [0.7608734945831588, -0.3351183511554616, -0.5438734442776743, 0.11388104569767153],
    [0.20733218305694648, 0.7838236865172601, -0.2983613004746755, -0.5036013589163482],
    [-0.06484632893389693, 0.482047344751176, -0.2101616457977817, 0.8480904395627303],
    [0.6114571487303496, 0.20235235751450178, 0.7556548773244086, 0.11899321430529897],
  ].flat();
  for (const [at, value] of theirs.entries()) expect(components[at]!).toBeCloseTo(value, 13);
  const first = [1.1674738919916328, -1.9017814236730253, -2.0173826406164155, 3.4310873774679784];
  for (const [i, score] of first.entries()) expect(features.values[i * 4]!).toBeCloseTo(score, 13);
  for (const [d, mean] of [13 / 6, 2, 11 / 6, 1.5].entries()) expect(means[d]!).toBeCloseTo(mean, 14);
  expect(features).toMatchObject({ count: 6, dimensions: 4 });
});

it('keeps as few as have the variance, and no more than it is told', () => {
  expect(reduce(SIX, { variance: 0.7 }).features.dimensions).toBe(2);
  expect(reduce(SIX, { variance: 0.71 }).features.dimensions).toBe(3);
  expect(reduce(SIX, { variance: 1, dimensions: 2 }).explained.length).toBe(2);
  expect(() => reduce(SIX, { variance: 0 })).toThrow('50 dimensions and 0 of the variance');
  expect(() => reduce(SIX, { dimensions: 1.5 })).toThrow('1.5 dimensions');
});

/** Points in a few directions of falling weight, and a little everywhere. */
function plane(count: number, dimensions: number, weights: readonly number[], noise: number): Features {
  const random = seededRandom(4);
  const directions = weights.map(() => Float64Array.from({ length: dimensions }, () => normal(random)));
  const values = new Float64Array(count * dimensions);
  for (let i = 0; i < count; i += 1) {
    const scores = weights.map((weight) => weight * normal(random));
    for (let d = 0; d < dimensions; d += 1) {
      const sum = scores.reduce((all, score, j) => all + score * directions[j]![d]!, 0);
      values[i * dimensions + d] = 1000 + sum + noise * normal(random);
    }
  }
  return { values, count, dimensions };
}

describe('with more dimensions than points', () => {
  const wide = plane(12, 60, [3, 2, 1], 0.01);

  it('has the same distances in all its components', () => {
    const { features, components, explained } = reduce(wide, { variance: 1 });
    expect(features.dimensions).toBe(11);
    expect(explained.reduce((sum, fraction) => sum + fraction, 0)).toBeCloseTo(1, 12);
    for (let a = 0; a < 11; a += 1) {
      for (let b = 0; b <= a; b += 1) {
        let dot = 0;
        for (let d = 0; d < 60; d += 1) dot += components[a * 60 + d]! * components[b * 60 + d]!;
        expect(dot).toBeCloseTo(a === b ? 1 : 0, 9);
      }
    }
    const distance = ({ values, dimensions }: Features, i: number, j: number) => {
      let sum = 0;
      for (let d = 0; d < dimensions; d += 1) sum += (values[i * dimensions + d]! - values[j * dimensions + d]!) ** 2;
      return Math.sqrt(sum);
    };
    for (let i = 1; i < 12; i += 1) expect(distance(features, 0, i) / distance(wide, 0, i)).toBeCloseTo(1, 9);
  });

  it('needs three for three directions', () => {
    expect(reduce(wide, { variance: 0.99 }).features.dimensions).toBe(3);
  });
});

describe('by random directions', () => {
  it('comes to the exact energies and directions where they stand out', () => {
    const points = plane(80, 60, [8, 4, 2, 1], 0.05);
    const mean = points.values.reduce((sum, value) => sum + value, 0) / points.values.length;
    const centred = { ...points, values: points.values.map((value) => value - mean) };
    const [exact, random] = [exactDirections(centred), randomisedDirections(centred, 4, 1)];
    for (let i = 0; i < 4; i += 1) {
      expect(random.energies[i]! / exact.energies[i]!).toBeCloseTo(1, 10);
      expect(random.energies[i]!).toBeLessThanOrEqual(exact.energies[i]! * (1 + 1e-12));
      let dot = 0;
      for (let d = 0; d < 60; d += 1) dot += random.directions[i * 60 + d]! * exact.directions[i * 60 + d]!;
      expect(Math.abs(dot)).toBeCloseTo(1, 8);
    }
  });

  it('is what large inputs get, the same on every run', () => {
    const large = plane(520, 514, [8, 4, 2], 0.01);
    const found = reduce(large, { dimensions: 5, variance: 0.999 });
    expect(found.algorithm).toBe('randomised');
    expect(found.features.dimensions).toBe(3);
    expect(reduce(large, { dimensions: 5, variance: 0.999 })).toEqual(found);
  });
});

it('takes points that are the same, and one point', () => {
  for (const points of [
    pointsOf([[3, 4]]),
    pointsOf([
      [3, 4],
      [3, 4],
      [3, 4],
    ]),
  ]) {
    const { features, explained } = reduce(points);
    expect(features.dimensions).toBe(1);
    expect([...features.values]).toEqual(new Array(points.count).fill(0));
    expect([...explained]).toEqual([0]);
  }
});

it('does not look at the unit', () => {
  const tiny = { ...SIX, values: SIX.values.map((value) => value * 2 ** -600) };
  const [small, plain] = [reduce(tiny), reduce(SIX)];
  expect(small.components).toEqual(plain.components);
  expect(small.features.values).toEqual(plain.features.values.map((value) => value * 2 ** -600));
});
