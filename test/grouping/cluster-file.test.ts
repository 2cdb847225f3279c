import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { writeClusters } from '../../src/grouping/cluster-file.js';
import { comparePopulations } from '../../src/grouping/compare.js';
import { MAX_CLUSTER_FILE_BYTES, readClusters } from '../../src/grouping/read-clusters.js';
import type { PopulationRecord } from '../../src/grouping/record.js';
import { historiesOf } from '../../src/grouping/wave-history.js';

const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-clusters-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const HEADER = {
  model: 'm',
  weights: '0'.repeat(64),
  neurons: 'ffn',
  by: 'functional',
  method: 'kmeans',
  k: 'auto',
  seed: 0,
} as const;

/** A population in these clusters; −1: gone. */
function population(name: string, assignments: readonly number[]): PopulationRecord {
  const k = Math.max(-1, ...assignments) + 1;
  const sizeOf = (cluster: number) => assignments.filter((own) => own === cluster).length;
  return {
    name,
    parts: [
      { block: 0, count: 2 },
      { block: 3, count: assignments.length - 2 },
    ],
    neurons: assignments.length,
    gone: [...assignments.keys()].filter((neuron) => assignments[neuron] === -1),
    space: [],
    k,
    notes: [],
    clusters: Array.from({ length: k }, (_, cluster) => ({
      cluster,
      size: sizeOf(cluster),
      norm: 1,
      density: 1,
      spread: 0,
      typical: [assignments.indexOf(cluster)],
      marks: [],
    })),
    topology: [],
    assignments: Int32Array.from(assignments),
  };
}

/** The whole of a valid file, as an object to damage. */
async function written(populations: readonly PopulationRecord[], name = 'clusters.json'): Promise<string> {
  const file = path.join(folder, name);
  await writeClusters(file, 'json', { header: HEADER, populations });
  return file;
}

describe('a cluster file', () => {
  it('is read as it was written, whatever the clusters', async () => {
    const clusters = fc
      .array(fc.integer({ min: -1, max: 4 }), { minLength: 2, maxLength: 30 })
      // Numbered without gaps, as clusters are.
      .map((all) => {
        const seen = [...new Set(all.filter((one) => one >= 0))];
        return all.map((one) => (one < 0 ? -1 : seen.indexOf(one)));
      });
    await fc.assert(
      fc.asyncProperty(fc.array(clusters, { minLength: 1, maxLength: 4 }), async (all) => {
        const file = await written(all.map((assignments, i) => population(`"p" ${i}\u2028`, assignments)));
        const { populations, neurons } = await readClusters(file);
        expect(neurons).toBe('ffn');
        expect(populations.map(({ name, assignments }) => [name, [...assignments]])).toEqual(
          all.map((assignments, i) => [`"p" ${i}\u2028`, assignments]),
        );
      }),
      { numRuns: 30 },
    );
  });

  it('as a table has a line for each neuron, by its block', async () => {
    const file = path.join(folder, 'clusters.csv');
    await writeClusters(file, 'csv', { header: HEADER, populations: [population('a "b",\nc', [0, 1, -1, 0])] });
    expect(readFileSync(file, 'utf8')).toBe(
      [
        'population,block,index,neuron,cluster,gone',
        '"a ""b"",\nc",0,0,0,0,0',
        '"a ""b"",\nc",0,1,1,1,0',
        '"a ""b"",\nc",3,0,2,,1',
        '"a ""b"",\nc",3,1,3,0,0',
        '',
      ].join('\n'),
    );
  });

  const valid = { ...HEADER, clusters: 1, populations: [{ name: 'p', neurons: 3, k: 2, assignments: [0, 1, -1] }] };
  const [one] = valid.populations;
  it.each([
    ['no JSON', 'clusters', 'it is not JSON'],
    ['another file of ours', { scores: 1, matrices: [] }, 'clusters: '],
    ['a later version', { ...valid, clusters: 2 }, 'clusters: '],
    ['nothing in it', { ...valid, populations: [] }, 'populations: '],
    ['neurons of another kind', { ...valid, neurons: 'layers' }, 'neurons: '],
    ['a population twice', { ...valid, populations: [one, one] }, '"p" is there twice'],
    ['too few assignments', { ...valid, populations: [{ ...one, neurons: 4 }] }, '3 assignments for 4 neurons'],
    ['a cluster above k', { ...valid, populations: [{ ...one, assignments: [0, 2, 1] }] }, 'neuron 1 of "p"'],
    ['a cluster below none', { ...valid, populations: [{ ...one, assignments: [0, 1, -2] }] }, 'neuron 2 of "p"'],
    ['half a cluster', { ...valid, populations: [{ ...one, assignments: [0, 0.5, 1] }] }, 'neuron 1 of "p"'],
    ['text for a cluster', { ...valid, populations: [{ ...one, assignments: [0, '1', 1] }] }, 'neuron 1 of "p"'],
    [
      'an empty cluster',
      { ...valid, populations: [{ ...one, assignments: [0, 0, -1] }] },
      'cluster 1 of "p" has no neuron',
    ],
    [
      'more clusters than a file has room for',
      { ...valid, populations: [{ ...one, k: 2 ** 50 }] },
      'clusters of 3 neurons',
    ],
    ['no list', { ...valid, populations: [{ ...one, assignments: { length: 3 } }] }, 'not a list'],
  ])('is refused with %s', async (_, content, problem) => {
    const file = path.join(folder, 'damaged.json');
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    await expect(readClusters(file)).rejects.toMatchObject({
      code: 'unreadable',
      file,
      message: expect.stringContaining(problem),
    });
  });

  it('is refused above its size, and where there is none', async () => {
    const file = path.join(folder, 'large.json');
    writeFileSync(file, Buffer.alloc(MAX_CLUSTER_FILE_BYTES + 1, ' '));
    await expect(readClusters(file)).rejects.toMatchObject({
      code: 'unreadable',
      message: expect.stringContaining('at most'),
    });
    const missing = readClusters(path.join(folder, 'missing.json'));
    await expect(missing).rejects.toMatchObject({
      code: 'unreadable',
      message: expect.stringContaining('no such file'),
    });
  });
});

describe('two runs', () => {
  const now = [population('a', [0, 0, 1, 1]), population('b', [0, 1, 0, 1])];

  it('agree wholly with themselves, and as chance does with clusters across them', async () => {
    const before = await readClusters(await written([population('a', [1, 1, 0, 0]), population('b', [0, 0, 1, 1])]));
    const [a, b] = comparePopulations('f', before, now);
    expect([a!.adjustedRand, a!.normalizedMutualInformation]).toEqual([1, 1]);
    // Pairs together: 0 in both, 2 in each, 6 in all: (0 − 2·2/6) / (2 − 2·2/6).
    expect(b!.adjustedRand).toBeCloseTo(-0.5, 12);
    expect(b!.normalizedMutualInformation).toBeCloseTo(0, 12);
  });

  it('are refused where they have nothing in common, or not the same neurons', async () => {
    const other = await readClusters(await written([population('heads', [0, 0, 1])]));
    expect(() => comparePopulations('f', other, now)).toThrow(
      /clusters of ffn \(heads and so on\); there are none of a/,
    );
    const smaller = await readClusters(await written([population('a', [0, 0, 1])]));
    expect(() => comparePopulations('f', smaller, now)).toThrow(/a has 4 neurons, and 3 in f/);
  });
});

describe('clusters over the waves', () => {
  it('are born, go on, merge and die', () => {
    const states = [
      [0, 0, 0, 1, 1, 1, 2, 2, 2],
      // 2 is shed; 0 and 1 go on under other numbers.
      [1, 1, 1, 0, 0, 0, -1, -1, -1],
      // Both merge, but for a third of each, which is new.
      [0, 0, 1, 0, 0, 1, -1, -1, -1],
    ].map((assignments, wave) => ({ wave: 2 * wave, populations: [population('p', assignments)] }));
    const [history] = historiesOf(states);
    expect(history).toMatchObject({ name: 'p', lineages: 4 });
    const [dense, second, third] = history!.waves;
    expect(dense).toEqual({
      wave: 0,
      k: 3,
      gone: 0,
      events: [],
      lineages: [0, 1, 2].map((lineage) => ({ lineage, size: 3 })),
    });
    expect(second).toMatchObject({
      wave: 2,
      k: 2,
      gone: 3,
      lineages: [
        { lineage: 1, size: 3 },
        { lineage: 0, size: 3 },
      ],
    });
    expect(second!.events).toEqual([
      { kind: 'continued', from: 0, to: 1, jaccard: 1 },
      { kind: 'continued', from: 1, to: 0, jaccard: 1 },
      { kind: 'died', from: 2 },
    ]);
    expect(third!.events.map(({ kind }) => kind)).toEqual(['merged', 'born']);
    expect(third!.lineages.at(-1)).toEqual({ lineage: 3, size: 2 });
  });
});
