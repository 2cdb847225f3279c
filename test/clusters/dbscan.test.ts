import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cluster, compareClusterings } from '../../src/clusters/index.js';
import { seededRandom } from '../../src/random.js';
import { normal, planted, pointsOf } from './planted.js';

/** The definition: dense points that are within reach of each other are together, others follow a dense one or are noise. */
function byDefinition(rows: number[][], epsilon: number, minPoints: number) {
  const near = (i: number) =>
    rows.flatMap((other, j) =>
      other.reduce((sum, value, d) => sum + (value - rows[i]![d]!) ** 2, 0) <= epsilon ** 2 ? [j] : [],
    );
  const around = rows.map((_, i) => near(i));
  const isDense = around.map((points) => points.length >= minPoints);
  const groups = rows.map((_, i) => i);
  for (let round = 0; round < rows.length; round += 1) {
    for (const [i, points] of around.entries()) {
      for (const j of points) if (isDense[i] && isDense[j]) groups[i] = Math.min(groups[i]!, groups[j]!);
    }
  }
  return { around, isDense, groups };
}

it('is what the definition says', async () => {
  const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 12 })), {
    minLength: 1,
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(
      rows,
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(1, 1.5, 2.3),
      async (drawn, minPoints, epsilon) => {
        const found = await cluster(pointsOf(drawn), { method: 'dbscan', seed: 1, epsilon, minPoints });
        const { around, isDense, groups } = byDefinition(drawn, epsilon, minPoints);
        for (const [i, own] of found.assignments.entries()) {
          if (isDense[i]) {
            for (const [j, other] of found.assignments.entries()) {
              if (isDense[j]) expect(own === other).toBe(groups[i] === groups[j]);
            }
          } else {
            const reachable = around[i]!.filter((j) => isDense[j]).map((j) => found.assignments[j]!);
            // Of the clusters that it borders on, the one that begins first, which has the smallest number unless a border point began it.
            if (reachable.length === 0) expect(own).toBe(-1);
            else expect(reachable).toContain(own);
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});

/** Two rings around one middle, which no centroids tell apart, and a few points far off. */
function rings(seed: number) {
  const random = seededRandom(seed);
  const rows = Array.from({ length: 300 }, (_, i) => {
    // By golden angles: evenly around, without a gap.
    const angle = i * 2.399963;
    const radius = (i % 3 === 0 ? 2 : 8) + normal(random) / 10;
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
  return { rows: [...rows, [30, 30], [-40, 5]], truth: [...rows.map((_, i) => (i % 3 === 0 ? 0 : 1)), -1, -1] };
}

describe('finds what has no middle of its own', () => {
  it('by a radius that is given', async () => {
    const { rows, truth } = rings(3);
    const found = await cluster(pointsOf(rows), { method: 'dbscan', seed: 1, epsilon: 1.2, minPoints: 4 });
    expect([...found.assignments]).toEqual(truth);
    expect(found.notes).toEqual([]);
    expect(found.quality.noise).toBe(2 / 302);
  });

  it('by the knee of the distances to neighbours, and says which radius that is', async () => {
    const { features, truth } = planted({ count: 400, dimensions: 3, k: 5, seed: 8 });
    const found = await cluster(features, { method: 'dbscan', seed: 1 });
    expect(found.k).toBe(5);
    const within = [...found.assignments.keys()].filter((i) => found.assignments[i]! >= 0);
    const [a, b] = [truth, found.assignments].map((all) => Int32Array.from(within, (i) => all[i]!));
    expect(compareClusterings(a!, b!).adjustedRand).toBe(1);
    expect(found.quality.noise).toBeLessThan(0.1);
    expect(found.notes).toEqual([expect.stringMatching(/^epsilon \d\.\d+, minPoints 6$/)]);
  });
});

it('calls everything noise where nothing is dense', async () => {
  const found = await cluster(pointsOf([[0], [10], [20]]), { method: 'dbscan', seed: 1, epsilon: 1, minPoints: 2 });
  expect(found).toMatchObject({ k: 0, inertia: 0, quality: { noise: 1, silhouette: null } });
  expect([...found.assignments]).toEqual([-1, -1, -1]);
  expect(found.centroids.length).toBe(0);
});
