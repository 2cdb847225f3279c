import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ClusterEvent, lineagesOf, track } from '../../src/clusters/index.js';

const events = (before: number[], after: number[], overlap?: number): ClusterEvent[] =>
  track(Int32Array.from(before), Int32Array.from(after), overlap === undefined ? {} : { overlap });

/** `count` times the cluster. */
const run = (...parts: [count: number, cluster: number][]) =>
  parts.flatMap(([count, cluster]) => new Array<number>(count).fill(cluster));

describe('what became of clusters', () => {
  it('continued, with points lost to noise and gained', () => {
    expect(events(run([10, 0], [4, -1]), run([8, 3], [2, -1], [4, 3]))).toEqual([
      { kind: 'continued', from: 0, to: 3, jaccard: 8 / 14 },
    ]);
  });

  it('split, the larger part first', () => {
    expect(events(run([10, 0]), run([4, 0], [6, 1]))).toEqual([{ kind: 'split', from: 0, to: [1, 0] }]);
  });

  it('did not split where what left is less than a fifth', () => {
    expect(events(run([10, 0]), run([9, 0], [1, 1]))).toEqual([
      { kind: 'continued', from: 0, to: 0, jaccard: 0.9 },
      { kind: 'born', to: 1, of: 0 },
    ]);
  });

  it('merged, the one that gave most first', () => {
    expect(events(run([4, 0], [6, 1], [3, 2]), run([10, 0], [3, 1]))).toEqual([
      { kind: 'continued', from: 2, to: 1, jaccard: 1 },
      { kind: 'merged', from: [1, 0], to: 0 },
    ]);
  });

  it('died, scattered or as noise', () => {
    expect(events(run([9, 0], [3, 1]), run([3, 0], [3, 1], [3, 2], [3, -1]))).toEqual([
      { kind: 'split', from: 0, to: [0, 1, 2] },
      { kind: 'died', from: 1 },
    ]);
    // Half and half among larger ones: no one's heir.
    expect(events(run([6, 0], [2, 1], [6, 2]), run([6, 0], [1, 0], [1, 1], [6, 1]))).toEqual([
      { kind: 'continued', from: 0, to: 0, jaccard: 6 / 7 },
      { kind: 'died', from: 1 },
      { kind: 'continued', from: 2, to: 1, jaccard: 6 / 7 },
    ]);
  });

  it('born, of noise or of what several lost', () => {
    expect(events(run([5, 0], [5, -1]), run([5, 0], [5, 1]))).toEqual([
      { kind: 'continued', from: 0, to: 0, jaccard: 1 },
      { kind: 'born', to: 1, of: null },
    ]);
    expect(events(run([8, 0], [8, 1]), run([6, 0], [4, 2], [6, 1]))).toEqual([
      { kind: 'continued', from: 0, to: 0, jaccard: 0.75 },
      { kind: 'continued', from: 1, to: 1, jaccard: 0.75 },
      { kind: 'born', to: 2, of: null },
    ]);
  });

  it('split and merged at once: a part that a whole cluster joined', () => {
    expect(events(run([6, 0], [4, 0], [3, 1]), run([6, 0], [4, 1], [3, 1]))).toEqual([
      { kind: 'split', from: 0, to: [0, 1] },
      { kind: 'merged', from: [0, 1], to: 1 },
    ]);
  });

  it('asks for as much as it is told', () => {
    const [before, after] = [run([10, 0], [8, -1]), run([7, 0], [3, -1], [8, 0])];
    expect(events(before, after, 0.6)[0]).toMatchObject({ kind: 'continued' });
    expect(events(before, after, 0.7)).toEqual([
      { kind: 'died', from: 0 },
      { kind: 'born', to: 0, of: null },
    ]);
    expect(() => events(before, after, 0.4)).toThrow('overlap is 0.4. It must be at least 0.5 and below 1.');
    expect(() => events([0], [0, 1])).toThrow('same points');
  });
});

const pair = fc
  .array(fc.tuple(fc.integer({ min: -1, max: 3 }), fc.integer({ min: -1, max: 3 })), { minLength: 1, maxLength: 40 })
  .map((rows) => [rows.map(([a]) => a), rows.map(([, b]) => b)] as const);

const listed = (event: ClusterEvent, side: 'from' | 'to'): number[] => {
  const value = (event as unknown as Record<string, unknown>)[side];
  return value === undefined ? [] : [value].flat().map(Number);
};

it('tells of every cluster on either side: one end or way on for each before, one beginning for each after', () => {
  fc.assert(
    fc.property(pair, ([before, after]) => {
      const found = events([...before], [...after]);
      const clusters = (labels: readonly number[]) => [...new Set(labels.filter((label) => label >= 0))].sort();
      expect([...new Set(found.flatMap((event) => listed(event, 'from')))].sort()).toEqual(clusters(before));
      expect([...new Set(found.flatMap((event) => listed(event, 'to')))].sort()).toEqual(clusters(after));
      for (const from of clusters(before)) {
        const fates = found.filter((event) => listed(event, 'from').includes(from));
        const kinds = new Set(fates.map(({ kind }) => kind));
        if (!kinds.has('split')) expect(fates).toHaveLength(1);
      }
      for (const to of clusters(after)) {
        const beginnings = found.filter((event) => event.kind !== 'split' && listed(event, 'to').includes(to));
        expect(beginnings.length).toBeLessThanOrEqual(1);
      }
      // To the same clusters under other names, every one goes on whole.
      const renamed = before.map((label) => (label < 0 ? -1 : 9 - label));
      for (const event of events([...before], renamed)) {
        expect(event).toMatchObject({ kind: 'continued', jaccard: 1 });
      }
    }),
    { numRuns: 300 },
  );
});

describe('lineages', () => {
  it('go on through splits, mergers and waves', () => {
    const waves = [
      run([6, 0], [6, 1], [6, 2]),
      // 0 splits, the larger part being number 1; 1 and 2 go on.
      run([2, 0], [4, 1], [6, 2], [6, 3]),
      // The small part dies, the rest of 0 goes on; 1 and 2 merge, 2 having lost a point.
      run([2, -1], [4, 0], [6, 1], [5, 1], [1, -1]),
      run([2, 0], [4, 1], [12, 2]),
    ].map((labels) => Int32Array.from(labels));
    const { identities, events: happened, count } = lineagesOf(waves);
    expect(identities.map((wave) => [...wave])).toEqual([
      [0, 1, 2],
      [3, 0, 1, 2],
      [0, 1],
      [4, 0, 1],
    ]);
    expect(count).toBe(5);
    expect(happened.map((wave) => wave.map(({ kind }) => kind))).toEqual([
      ['split', 'continued', 'continued'],
      ['died', 'continued', 'merged'],
      ['continued', 'continued', 'born'],
    ]);
  });

  it('are never shared by two clusters, nor lost by one', () => {
    const waves = fc.integer({ min: 1, max: 20 }).chain((points) =>
      fc.array(fc.array(fc.integer({ min: 0, max: 3 }), { minLength: points, maxLength: points }), {
        minLength: 1,
        maxLength: 5,
      }),
    );
    fc.assert(
      fc.property(waves, (drawn) => {
        const compact = drawn.map((labels) => {
          const names = [...new Set(labels)];
          return Int32Array.from(labels, (label) => names.indexOf(label));
        });
        const { identities, count } = lineagesOf(compact);
        for (const wave of identities) {
          expect(new Set(wave).size).toBe(wave.length);
          expect(wave.every((identity) => identity >= 0 && identity < count)).toBe(true);
        }
        expect(new Set(identities.flatMap((wave) => [...wave])).size).toBe(count);
      }),
      { numRuns: 200 },
    );
  });
});
