import fc from 'fast-check';
import { type AgglomerationMethod, agnes, type Cluster } from 'ml-hclust';
import { describe, expect, it } from 'vitest';
import { canonical } from '../../src/clusters/canonical.js';
import { cutAtDepth, cutAtHeight, cutInto } from '../../src/clusters/cut.js';
import { dendrogramOf } from '../../src/clusters/dendrogram.js';
import type { Linkage } from '../../src/clusters/index.js';
import { ELEVEN, pointsOf } from './planted.js';

const LINKAGES: readonly Linkage[] = ['ward', 'average', 'complete', 'single'];

const numbered = (assignments: Int32Array) => [...canonical(assignments).assignments];

describe('the heights of eleven points, as scipy 1.10.1 has them', () => {
  const heights: Record<Linkage, number[]> = {
    ward: [
      Math.SQRT1_2,
      Math.SQRT1_2,
      Math.SQRT1_2,
      1.224744871391589,
      1.2247448713915892,
      1.2247448713915892,
      1.3693063937629153,
      6.06217782649107,
      11.4564392373896,
      16.687978798034123,
    ],
    average: [
      Math.SQRT1_2,
      Math.SQRT1_2,
      Math.SQRT1_2,
      1.0606601717798214,
      1.0606601717798214,
      1.0606601717798214,
      1.24535599249993,
      4.949747468305833,
      6.454881346804902,
      8.267553147619772,
    ],
    complete: [
      Math.SQRT1_2,
      Math.SQRT1_2,
      Math.SQRT1_2,
      1.118033988749895,
      Math.SQRT2,
      Math.SQRT2,
      1.5,
      5,
      8.0156097709407,
      10.404326023342406,
    ],
    single: [
      Math.SQRT1_2,
      Math.SQRT1_2,
      Math.SQRT1_2,
      Math.SQRT1_2,
      Math.SQRT1_2,
      Math.SQRT1_2,
      1.118033988749895,
      4.242640687119285,
      4.242640687119285,
      4.949747468305833,
    ],
  };
  it.each(LINKAGES)('%s', (linkage) => {
    const tree = dendrogramOf(ELEVEN, linkage);
    for (const [merge, height] of tree.heights.entries()) expect(height).toBeCloseTo(heights[linkage][merge]!, 12);
    expect(numbered(cutInto(tree, 4))).toEqual([0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3]);
  });
});

const THEIRS: Record<Linkage, AgglomerationMethod> = {
  ward: 'ward2',
  average: 'average',
  complete: 'complete',
  single: 'single',
};

/** The clusters that ml-hclust's tree is cut into. */
function theirs(tree: Cluster, points: number, k: number): number[] {
  const assignments = new Int32Array(points);
  for (const [cluster, node] of tree.group(k).children.entries()) {
    for (const point of node.indices()) assignments[point] = cluster;
  }
  return numbered(assignments);
}

it('makes the same tree as taking the smallest distance every time, by ml-hclust', () => {
  const rows = fc.array(fc.tuple(...[0, 1, 2].map(() => fc.double({ min: -1, max: 1, noNaN: true }))), {
    minLength: 2,
    maxLength: 25,
  });
  fc.assert(
    fc.property(rows, fc.constantFrom(...LINKAGES), (drawn, linkage) => {
      // Distances that differ by less than rounding may be taken in either order: such points are moved apart.
      const points = drawn.map((row, i) => row.map((value, d) => value + Math.sin((i + 1) * (7.1 + d)) * 3));
      const [own, other] = [dendrogramOf(pointsOf(points), linkage), agnes(points, { method: THEIRS[linkage] })];
      const heights: number[] = [];
      other.traverse((node) => {
        if (!node.isLeaf) heights.push(node.height);
      });
      heights.sort((a, b) => a - b);
      for (const [merge, height] of own.heights.entries()) expect(height).toBeCloseTo(heights[merge]!, 9);
      for (let k = 1; k <= points.length; k += 1) {
        const [last, next] = [heights[points.length - k - 1] ?? 0, heights[points.length - k] ?? Infinity];
        if (next - last > 1e-9) expect(numbered(cutInto(own, k))).toEqual(theirs(other, points.length, k));
      }
    }),
    { numRuns: 150 },
  );
});

describe('cuts', () => {
  // Points on a line: pairs at distance 1, pairs of pairs at 10, and one far away.
  const line = dendrogramOf(pointsOf([[0], [1], [10], [11], [100], [101], [110], [111], [1000]]), 'single');

  it('at a height keeps what was joined at it or below', () => {
    expect(numbered(cutAtHeight(line, 0))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(numbered(cutAtHeight(line, 1))).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4]);
    expect(numbered(cutAtHeight(line, 8.9))).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4]);
    expect(numbered(cutAtHeight(line, 9))).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 2]);
    expect(numbered(cutAtHeight(line, 889))).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('at a depth takes the nodes so many levels below the root, and points that hang higher', () => {
    expect(numbered(cutAtDepth(line, 1))).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1]);
    expect(numbered(cutAtDepth(line, 2))).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 2]);
    expect(numbered(cutAtDepth(line, 3))).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4]);
    expect(numbered(cutAtDepth(line, 20))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('into k makes k', () => {
    for (let k = 1; k <= 9; k += 1) expect(canonical(cutInto(line, k)).k).toBe(k);
  });
});

it('takes one point, points that are the same, and points all as far apart, whatever rounding does', () => {
  for (const linkage of LINKAGES) {
    expect(numbered(cutInto(dendrogramOf(pointsOf([[3, 4]]), linkage), 1))).toEqual([0]);
    const same = dendrogramOf(pointsOf(Array.from({ length: 20 }, () => [0.1, 0.7])), linkage);
    expect([...same.heights]).toEqual(new Array(19).fill(0));
    // The corners of a simplex, at a distance that thirds and sevenths of it round.
    const corners = Array.from({ length: 60 }, (_, i) => Array.from({ length: 60 }, (_, d) => (i === d ? 0.1 : 0)));
    const tree = dendrogramOf(pointsOf(corners), linkage);
    expect(tree.merges.length).toBe(118);
    expect([...tree.merges].sort((a, b) => a - b)).toEqual(Array.from({ length: 118 }, (_, node) => node));
    for (let k = 1; k <= 60; k += 1) expect(canonical(cutInto(tree, k)).k).toBe(k);
  }
});
