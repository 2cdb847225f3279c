import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clusterDistances, standardize, topologyOf } from '../../src/clusters/index.js';
import { pointsOf } from './planted.js';

const labelled = fc.array(
  fc.tuple(fc.integer({ min: -1, max: 3 }), fc.integer({ min: -9, max: 9 }), fc.integer({ min: -9, max: 9 })),
  { minLength: 1, maxLength: 30 },
);

/** Clusters numbered without gaps. */
function compact(labels: readonly number[]): number[] {
  const present = [...new Set(labels.filter((label) => label >= 0))].sort((a, b) => a - b);
  return labels.map((label) => (label < 0 ? -1 : present.indexOf(label)));
}

it('distances are those over all pairs of points', () => {
  fc.assert(
    fc.property(labelled, (drawn) => {
      const labels = compact(drawn.map(([label]) => label));
      const rows = drawn.map(([, x, y]) => [x, y]);
      const { k, members, centroids, spreads } = clusterDistances(pointsOf(rows), Int32Array.from(labels));
      expect(k).toBe(Math.max(-1, ...labels) + 1);
      const of = (cluster: number) => [...rows.keys()].filter((i) => labels[i] === cluster);
      const squared = (a: number[], b: number[]) => (a[0]! - b[0]!) ** 2 + (a[1]! - b[1]!) ** 2;
      const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
      const middle = (cluster: number) => [0, 1].map((d) => mean(of(cluster).map((i) => rows[i]![d]!)));
      for (let a = 0; a < k; a += 1) {
        for (let b = 0; b < k; b += 1) {
          const pairs = of(a).flatMap((i) => of(b).flatMap((j) => (i === j ? [] : [squared(rows[i]!, rows[j]!)])));
          expect(members[a * k + b]!).toBeCloseTo(pairs.length === 0 ? 0 : Math.sqrt(mean(pairs)), 10);
          expect(centroids[a * k + b]!).toBeCloseTo(Math.sqrt(squared(middle(a), middle(b))), 10);
        }
        expect(spreads[a]!).toBeCloseTo(Math.sqrt(mean(of(a).map((i) => squared(rows[i]!, middle(a))))), 10);
      }
    }),
    { numRuns: 150 },
  );
});

/** Kruskal 1956: the shortest edges that close no loop. */
function kruskal(k: number, lengths: Float64Array): number {
  const roots = Array.from({ length: k }, (_, i) => i);
  const edges = roots.flatMap((i) => roots.slice(0, i).map((j) => ({ i, j, length: lengths[i * k + j]! })));
  let total = 0;
  for (const { i, j, length } of edges.sort((a, b) => a.length - b.length)) {
    const [from, to] = [roots[i]!, roots[j]!];
    if (from === to) continue;
    total += length;
    for (const [node, root] of roots.entries()) if (root === from) roots[node] = to;
  }
  return total;
}

describe('topology', () => {
  it('is a shortest tree, and the nearest of each', () => {
    const places = fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 20 })), {
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(places, (rows) => {
        const k = rows.length;
        const distances = clusterDistances(pointsOf(rows), Int32Array.from(rows.keys()));
        const { tree, nearest } = topologyOf(distances);
        expect(tree).toHaveLength(k - 1);
        expect(tree.reduce((sum, { distance }) => sum + distance, 0)).toBeCloseTo(kruskal(k, distances.centroids), 9);
        const reached = new Set([0]);
        for (let round = 0; round < k; round += 1) {
          for (const { from, to } of tree) if (reached.has(from) || reached.has(to)) reached.add(from).add(to);
        }
        expect(reached.size).toBe(k);
        for (const [i, next] of nearest.entries()) {
          if (k === 1) expect(next).toBe(-1);
          else {
            expect(next).not.toBe(i);
            const row = [...distances.centroids.subarray(i * k, (i + 1) * k)].filter((_, j) => j !== i);
            expect(distances.centroids[i * k + next]!).toBe(Math.min(...row));
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  it('has nothing for no clusters', () => {
    const none = clusterDistances(pointsOf([[1], [2]]), Int32Array.of(-1, -1));
    expect(topologyOf(none)).toEqual({ tree: [], nearest: new Int32Array(0) });
  });
});

describe('standardize', () => {
  it('gives every dimension mean 0 and variance 1, and nothing to one that is the same in all points', () => {
    const points = pointsOf([
      [1, 1e6, 0.1, -3e-9],
      [2, 1e6 + 1, 0.1, 4e-9],
      [6, 1e6 + 2, 0.1, 9e-9],
    ]);
    const before = points.values.slice();
    const { values } = standardize(points);
    expect(points.values).toEqual(before);
    for (const d of [0, 1, 3]) {
      const column = [0, 1, 2].map((i) => values[i * 4 + d]!);
      expect(column.reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 9);
      expect(column.reduce((sum, value) => sum + value * value, 0)).toBeCloseTo(3, 9);
    }
    expect([values[2], values[6], values[10]]).toEqual([0, 0, 0]);
  });
});
