import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { centresOf } from '../../src/clusters/centroids.js';
import { cluster, type Features } from '../../src/clusters/index.js';
import { qualityOf } from '../../src/clusters/quality.js';
import {
  type Silhouettes,
  silhouettePoints,
  silhouettes,
  silhouettesByCluster,
} from '../../src/clusters/silhouette.js';
import { ELEVEN, planted, pointsOf, rowsOf } from './planted.js';

const quality = (points: Features, assignments: Int32Array) => {
  const k = Math.max(-1, ...assignments) + 1;
  return qualityOf(points, centresOf(points, assignments, k), silhouettes(points, [{ assignments, k }], 1)[0]!);
};

describe('on eleven points, as scikit-learn 1.2.1 has them, and numpy by the formulas', () => {
  it.each([
    {
      labels: [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3],
      silhouette: 0.7248936252695442,
      daviesBouldin: 0.1482917177504041,
      calinskiHarabasz: 132.2929292929293,
      inertia: 3.9375,
      each: [
        0.7878679656440357, 0.7878679656440357, 0.8571428571428571, 0.7064667775706653, 0.796844785300507,
        0.8411907923163562, 0.7768058772036726, 0.8124999999999999, 0.75, 0.8571428571428571, 0,
      ],
    },
    {
      labels: [0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2],
      silhouette: 0.41791666907679853,
      daviesBouldin: 0.8984884327168231,
      calinskiHarabasz: 4.893831883800075,
      inertia: 102.175,
      each: [
        0.770064941384845, 0.7948847477011902, -0.9293218987401658, 0.4575376803572326, 0.5152884964165775,
        0.5156497596884475, 0.44697969683789857, 0.6507753460997828, 0.6716036167110391, 0.6935704670491025,
        0.010050506338833465,
      ],
    },
  ])('$labels', ({ labels, each, silhouette, daviesBouldin, calinskiHarabasz, inertia }) => {
    const assignments = Int32Array.from(labels);
    const found = quality(ELEVEN, assignments);
    expect(found.silhouette).toBeCloseTo(silhouette, 13);
    expect(found.daviesBouldin).toBeCloseTo(daviesBouldin, 13);
    expect(found.calinskiHarabasz! / calinskiHarabasz).toBeCloseTo(1, 12);
    expect(found.inertia / inertia).toBeCloseTo(1, 13);
    const [{ values, points }] = silhouettes(ELEVEN, [{ assignments, k: Math.max(...labels) + 1 }], 1) as [Silhouettes];
    expect([...points]).toEqual(labels.map((_, i) => i));
    for (const [i, value] of values.entries()) expect(value).toBeCloseTo(each[i]!, 13);
    const means = [...new Set(labels)].map((cluster) => {
      const own = each.filter((_, i) => labels[i] === cluster);
      return own.reduce((sum, value) => sum + value, 0) / own.length;
    });
    const byCluster = silhouettesByCluster({ values, points, mean: silhouette }, assignments, means.length + 1);
    for (const [cluster, mean] of means.entries()) expect(byCluster[cluster]!).toBeCloseTo(mean, 13);
    expect(byCluster.at(-1)).toBeNull();
  });
});

/** The definitions, word by word, over rows and lists of members. */
function byDefinition(rows: number[][], labels: readonly number[]) {
  const clusters = [...new Set(labels.filter((label) => label >= 0))].sort((a, b) => a - b);
  const membersOf = (cluster: number) => rows.filter((_, i) => labels[i] === cluster);
  const distance = (a: number[], b: number[]) => Math.hypot(...a.map((value, d) => value - b[d]!));
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const centre = (members: number[][]) => members[0]!.map((_, d) => mean(members.map((row) => row[d]!)));
  const kept = rows.filter((_, i) => labels[i]! >= 0);
  const silhouette = mean(
    rows.flatMap((row, i) => {
      if (labels[i]! < 0) return [];
      const own = rows.filter((_, j) => j !== i && labels[j] === labels[i]);
      if (own.length === 0) return [0];
      const a = mean(own.map((other) => distance(row, other)));
      const others = clusters.filter((cluster) => cluster !== labels[i]);
      const b = Math.min(...others.map((cluster) => mean(membersOf(cluster).map((other) => distance(row, other)))));
      return [Math.max(a, b) === 0 ? 0 : (b - a) / Math.max(a, b)];
    }),
  );
  const centres = clusters.map((cluster) => centre(membersOf(cluster)));
  const scatter = clusters.map((cluster, i) => mean(membersOf(cluster).map((row) => distance(row, centres[i]!))));
  const worst = centres.map((c, i) =>
    Math.max(...centres.flatMap((o, j) => (i === j ? [] : [(scatter[i]! + scatter[j]!) / distance(c, o)]))),
  );
  const inertia = clusters
    .flatMap((cluster, i) => membersOf(cluster).map((row) => distance(row, centres[i]!) ** 2))
    .reduce((sum, value) => sum + value, 0);
  const whole = centre(kept);
  const between = clusters
    .map((cluster, i) => membersOf(cluster).length * distance(centres[i]!, whole) ** 2)
    .reduce((sum, value) => sum + value, 0);
  const k = clusters.length;
  return {
    silhouette,
    daviesBouldin: mean(worst),
    inertia,
    calinskiHarabasz: between / (k - 1) / (inertia / (kept.length - k)),
  };
}

it('agrees with the definitions, noise left out', () => {
  const labelled = fc.record({
    rows: fc.array(fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 3, maxLength: 3 }), {
      minLength: 6,
      maxLength: 25,
    }),
    labels: fc.array(fc.integer({ min: -1, max: 3 }), { minLength: 25, maxLength: 25 }),
  });
  fc.assert(
    fc.property(labelled, ({ rows, labels: drawn }) => {
      // The first five points fill two clusters, one of them twice, so that every index is defined but where centroids coincide.
      const labels = rows.map((_, i) => (i < 3 ? i % 2 : drawn[i]!));
      const present = [...new Set(labels.filter((label) => label >= 0))].sort((a, b) => a - b);
      const compact = labels.map((label) => (label < 0 ? -1 : present.indexOf(label)));
      const found = quality(pointsOf(rows), Int32Array.from(compact));
      const expected = byDefinition(rows, compact);
      expect(found.silhouette).toBeCloseTo(expected.silhouette, 10);
      expect(found.inertia).toBeCloseTo(expected.inertia, 7);
      if (Number.isFinite(expected.daviesBouldin)) {
        if (found.daviesBouldin === null) expect(expected.daviesBouldin).toBeGreaterThan(1e9);
        else expect(found.daviesBouldin / expected.daviesBouldin).toBeCloseTo(1, 8);
      } else expect(found.daviesBouldin).toBeNull();
      if (expected.inertia > 1e-9) expect(found.calinskiHarabasz).toBeCloseTo(expected.calinskiHarabasz, 6);
      expect(found.noise).toBe(compact.filter((label) => label < 0).length / rows.length);
    }),
    { numRuns: 200 },
  );
});

it('has no index where none is defined', () => {
  const none = { silhouette: null, silhouettePoints: 0, daviesBouldin: null, calinskiHarabasz: null };
  const two = pointsOf([[0], [1]]);
  expect(quality(two, Int32Array.of(0, 0))).toEqual({ ...none, inertia: 0.5, noise: 0 });
  expect(quality(two, Int32Array.of(-1, -1))).toEqual({ ...none, inertia: 0, noise: 1 });
  expect(quality(two, Int32Array.of(0, 1))).toEqual({ ...none, daviesBouldin: 0, inertia: 0, noise: 0 });
  // Rings around one middle.
  const rings = quality(pointsOf([[-1], [1], [-3], [3]]), Int32Array.of(0, 0, 1, 1));
  expect(rings.daviesBouldin).toBeNull();
  expect(rings.calinskiHarabasz).toBe(0);
});

it('draws the points that it measures where there are many, comes near the mean of all, and says so', async () => {
  expect([1, 5792, 16_384, 1_000_000].map(silhouettePoints)).toEqual([1, 5792, 2048, 256]);
  const { features } = planted({ count: 8000, dimensions: 2, k: 3, apart: 4, seed: 5 });
  const {
    assignments,
    quality: found,
    notes,
  } = await cluster(features, { method: 'minibatch', seed: 7, k: 3, restarts: 1 });
  expect(found.silhouettePoints).toBe(4194);
  expect(notes).toEqual(['The silhouette is that of 4194 points out of 8000.']);
  const division = { assignments: assignments.slice(0, 1500), k: 3 };
  const first = silhouettes(pointsOf(rowsOf(features).slice(0, 1500)), [division], 7)[0]!;
  expect(first.points.length).toBe(1500);
  expect(Math.abs(found.silhouette! - first.mean!)).toBeLessThan(0.02);
});

it('measures several divisions at once as each by itself, some with noise', () => {
  const { features, truth } = planted({ count: 60, dimensions: 3, k: 4, apart: 2, seed: 5 });
  const divisions = [
    { assignments: truth, k: 4 },
    { assignments: truth.map((cluster) => (cluster === 0 ? -1 : cluster - 1)), k: 3 },
    { assignments: truth.map(() => 0), k: 1 },
    { assignments: truth.map((cluster) => cluster % 2), k: 2 },
  ];
  const alone = divisions.map((division) => silhouettes(features, [division], 3)[0]);
  expect(silhouettes(features, divisions, 3)).toEqual(alone);
  expect(alone.map((one) => one!.mean === null)).toEqual([false, false, true, false]);
});
