import fc from 'fast-check';
import { kmeans } from 'ml-kmeans';
import { describe, expect, it } from 'vitest';
import { centresOf } from '../../src/clusters/centroids.js';
import { prepare } from '../../src/clusters/cluster.js';
import { pointsAt } from '../../src/clusters/features.js';
import { cluster, compareClusterings } from '../../src/clusters/index.js';
import { assignAll, fillEmpty, lloydCentres } from '../../src/clusters/lloyd.js';
import { drawn } from '../../src/clusters/sample.js';
import { seededRandom } from '../../src/random.js';
import { planted, pointsOf, rowsOf } from './planted.js';

describe('what ml-kmeans does that its wrapper is for', () => {
  const rows = [[0], [1], [10], [11]];

  it('returns a cluster empty that lost its points', () => {
    const result = kmeans(rows, 3, { initialization: [[0.5], [10.5], [500]], tolerance: 0 });
    expect(new Set(result.clusters)).toEqual(new Set([0, 1]));
    expect(result.centroids[2]).toEqual([500]);
  });

  it('makes centres of one point twice where fewer differ than it is asked for', () => {
    const result = kmeans([[1], [1], [2]], 3, { seed: 1 });
    expect(new Set(result.clusters).size).toBeLessThan(3);
  });

  it('stops at once on features of small numbers, as its tolerance is absolute', () => {
    const small = [0, 1, 2, 3, 10, 11].map((value) => [value * 1e-5]);
    const result = kmeans(small, 2, { initialization: [[0], [1e-5]] });
    expect(result.iterations).toBe(1);
    expect(kmeans(small, 2, { initialization: [[0], [1e-5]], tolerance: 0 }).iterations).toBeGreaterThan(1);
  });
});

describe('a centre without points', () => {
  it('is moved onto the point farthest from its own centre, the next one onto the farthest that is left', () => {
    const points = pointsOf([[0], [1], [10], [14], [40]]);
    expect(fillEmpty(points, [[500], [5], [600]])).toEqual([[40], [5], [14]]);
    expect(fillEmpty(points, [[0], [40]])).toBeUndefined();
  });

  it('stays where every point is on a centre', () => {
    expect(fillEmpty(pointsOf([[1], [1]]), [[1], [9]])).toBeUndefined();
  });
});

/** The least inertia of points on a line in k clusters: they are runs of the sorted points (Fisher 1958). */
function bestOnLine(values: readonly number[], k: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const scatter = (from: number, to: number) => {
    const run = sorted.slice(from, to);
    const mean = run.reduce((sum, value) => sum + value, 0) / run.length;
    return run.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  };
  let best = sorted.map((_, i) => scatter(0, i + 1));
  for (let clusters = 2; clusters <= k; clusters += 1) {
    best = sorted.map((_, i) => {
      const splits = Array.from({ length: i }, (_, start) => best[start]! + scatter(start + 1, i + 1));
      return Math.min(best[i]!, ...splits);
    });
  }
  return best.at(-1)!;
}

it('comes to the least inertia that there is on a line, nearly always, and never below it', async () => {
  let reached = 0;
  const runs = 60;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 4, maxLength: 16 }),
      fc.integer({ min: 2, max: 4 }),
      async (values, k) => {
        const found = await cluster(pointsOf(values.map((value) => [value])), { method: 'kmeans', seed: 3, k });
        const least = bestOnLine(values, k);
        expect(found.inertia).toBeGreaterThanOrEqual(least * (1 - 1e-12) - 1e-9);
        if (found.inertia <= least * (1 + 1e-9) + 1e-9) reached += 1;
      },
    ),
    { numRuns: runs, seed: 11 },
  );
  expect(reached).toBeGreaterThanOrEqual(0.95 * runs);
});

it('ends where no point is nearer to another centroid, the centroids being means', async () => {
  const { features } = planted({ count: 120, dimensions: 2, k: 4, apart: 1, seed: 6 });
  const found = await cluster(features, { method: 'kmeans', seed: 2, k: 6 });
  const rows = rowsOf(features);
  for (const [i, row] of rows.entries()) {
    const squares = Array.from({ length: found.k }, (_, j) =>
      row.reduce((sum, value, d) => sum + (value - found.centroids[j * 2 + d]!) ** 2, 0),
    );
    expect(squares[found.assignments[i]!]!).toBeLessThanOrEqual(Math.min(...squares) + 1e-12);
  }
});

it('is started from the seed: other seeds, other starts', () => {
  const { features } = planted({ count: 60, dimensions: 2, k: 3, apart: 1, seed: 6 });
  const centres = (seed: number) => [...lloydCentres(features, rowsOf(features), 8, seed)];
  expect(centres(5)).toEqual(centres(5));
  expect(new Set([1, 2, 3, 4, 5].map((seed) => centres(seed).join())).size).toBeGreaterThan(1);
});

describe('minibatch', () => {
  it('finds planted clusters among more points than it looks at in whole passes, the same on every run', async () => {
    const { features, truth } = planted({ count: 6000, dimensions: 4, k: 8, apart: 8, seed: 4 });
    const settings = { method: 'minibatch', seed: 1, restarts: 1 };
    const divide = async () => (await prepare(features, settings, false)).divide(8).assignments;
    const found = await divide();
    expect(compareClusterings(truth, found).adjustedRand).toBeGreaterThan(0.99);
    expect(await divide()).toEqual(found);
  });

  it('ends with less inertia than the centres of the sample have', async () => {
    const { features } = planted({ count: 8000, dimensions: 2, k: 1, seed: 4 });
    const sample = pointsAt(features, drawn(8000, 4096, seededRandom(1)));
    const start = lloydCentres(sample, rowsOf(sample), 12, 5);
    const { assignments } = (await prepare(features, { method: 'minibatch', seed: 1 }, false)).divide(12);
    const inertias = centresOf(features, assignments, 12).inertias.reduce((sum, inertia) => sum + inertia, 0);
    expect(inertias).toBeLessThan(assignAll(features, start).inertia);
  });
});
