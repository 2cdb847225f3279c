import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { type GroupOptions, groupNeurons } from '../../src/grouping/index.js';
import { readClusters } from '../../src/grouping/read-clusters.js';
import { at, go, inWorkplaces } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';
import { parseMarkup } from '../pictures/parse-markup.js';

inWorkplaces();

let options: GroupOptions;
beforeEach(() => {
  options = {
    model: at('models/fledgling'),
    neurons: 'ffn',
    by: 'functional',
    method: 'kmeans',
    k: 3,
    seed: 0,
    out: at('clusters.json'),
    calibration: { file: at('models/fledgling/calibration.txt'), windows: 3, context: 32 },
    device: 'cpu',
  };
});

describe('clustering a model', () => {
  it('writes the cluster of every neuron, what the clusters are like, and pictures of them', async () => {
    const result = await groupNeurons({ ...options, bootstraps: 2, picture: at('clusters.html') });
    const { populations } = await readClusters(options.out);
    expect(populations.map(({ name, assignments }) => [name, assignments.length])).toEqual([
      ['block 0 ffn', 44],
      ['block 1 ffn', 44],
    ]);
    for (const [i, { clusters, stability, quality }] of result.populations.entries()) {
      const { assignments, k } = populations[i]!;
      const sizes = Array.from({ length: k }, (_, cluster) => assignments.filter((own) => own === cluster).length);
      expect(clusters.map(({ size }) => size)).toEqual(sizes);
      expect(stability).toMatchObject({ seeds: { mean: expect.any(Number) }, bootstrap: { mean: expect.any(Number) } });
      expect(quality!.silhouette).toBeGreaterThan(-1);
      for (const { typical, marks, cluster } of clusters) {
        expect(typical.map((neuron) => assignments[neuron])).toEqual(typical.map(() => cluster));
        expect(
          marks
            .map(({ name }) => name)
            .every((name) => /^(deviation|mean|kurtosis|sparseness|firing|correlations \d+)$/.test(name)),
        ).toBe(true);
      }
    }
    const html = readFileSync(at('clusters.html'), 'utf8');
    expect(parseMarkup(html).elements.filter((name) => name === 'figure')).toHaveLength(10);
    expect(html).not.toMatch(/https?:\/\/(?!www\.w3\.org\/)/);
  });

  it('writes the same bytes each time, wherever the model lies', async () => {
    const drawn = { ...options, picture: at('a.svg') };
    await groupNeurons(drawn);
    const first = contentsOf(at('.'));
    await groupNeurons(drawn);
    expect(contentsOf(at('.'))).toEqual(first);
    await groupNeurons({ ...options, seed: 1 });
    expect(contentsOf(at('.'))['clusters.json']).not.toBe(first['clusters.json']);
  });

  it('agrees with itself when it is compared with its own file', async () => {
    await groupNeurons(options);
    const heads = groupNeurons({ ...options, neurons: 'heads', dryRun: true, compare: options.out });
    await expect(heads).rejects.toThrow(/has clusters of ffn \(block 0 ffn and so on\); there are none of heads/);
    const { comparisons } = await groupNeurons({ ...options, out: at('again.json'), compare: options.out });
    expect(comparisons!.map(({ adjustedRand }) => adjustedRand)).toEqual([1, 1]);
    expect(JSON.parse(readFileSync(at('again.json'), 'utf8'))).toMatchObject({
      comparisons: [{ name: 'block 0 ffn' }, {}],
    });
  });

  it('looks at everything before it computes, and writes nothing then', async () => {
    const before = contentsOf(at('.'));
    const refusals: [Partial<GroupOptions>, RegExp][] = [
      [{ out: at('clusters.txt') }, /must end in \.json or \.csv/],
      [{ picture: at('clusters.png') }, /must end in \.html or \.svg/],
      [{ linkage: 'ward' }, /kmeans has no setting linkage/],
      [{ method: 'dbscan' }, /dbscan has no setting k/],
      [{ method: 'kmean' }, /no clustering "kmean"/],
      [{ compare: at('missing.json') }, /no such file/],
      [{ overWaves: true }, /no history/],
      [{ model: at('out/half@1') }, /no history/],
    ];
    for (const [change, message] of refusals)
      await expect(groupNeurons({ ...options, ...change })).rejects.toThrow(message);
    const { calibration: _, ...silent } = options;
    await expect(groupNeurons(silent)).rejects.toThrow(/there is no text/);
    const planned = await groupNeurons({ ...options, dryRun: true });
    expect(planned).toMatchObject({ written: false, model: 'fledgling', populations: [] });
    expect(contentsOf(at('.'))).toEqual(before);
  });
});

describe('clustering the states of a run', () => {
  it('follows clusters from wave to wave, and sees the channels that were shed go', async () => {
    await go({ steps: [{ do: 'prune', plates: 'ffn', sparsity: 0.5, waves: 2 }] });
    const drawn = { ...options, model: at('out/half'), overWaves: true, picture: at('waves.svg') };
    const { waves, populations, model } = await groupNeurons(drawn);
    expect(model).toMatch(/^half@\d+$/);
    expect(waves!.map(({ name }) => name)).toEqual(['block 0 ffn', 'block 1 ffn']);
    for (const [i, { waves: states }] of waves!.entries()) {
      expect(states.map(({ wave }) => wave)).toEqual([0, 1, 2]);
      const gone = states.map((state) => state.gone);
      expect(gone[0]).toBe(0);
      expect(gone).toEqual([...gone].sort((a, b) => a - b));
      expect(gone.at(-1)).toBe(populations[i]!.gone);
      for (const { lineages, gone: none } of states) {
        expect(lineages.reduce((sum, { size }) => sum + size, none)).toBe(44);
      }
    }
    expect(populations.reduce((sum, { gone }) => sum + gone, 0)).toBeGreaterThanOrEqual(20);
    expect(readFileSync(at('waves.svg'), 'utf8')).toContain('Clusters over the waves');
    // A state by its name has the clusters that the file of all waves has.
    await groupNeurons({ ...options, model: at('out/half@2'), out: at('second.json') });
    const [all, second] = [await readClusters(options.out), await readClusters(at('second.json'))];
    expect(second.populations).toEqual(all.populations);
  });
});
