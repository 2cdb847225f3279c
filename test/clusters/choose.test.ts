import { describe, expect, it } from 'vitest';
import { chooseClusters, cluster, compareClusterings, stability } from '../../src/clusters/index.js';
import { planted, pointsOf } from './planted.js';

const three = planted({ count: 90, dimensions: 3, k: 3, apart: 6, seed: 2 });

describe('the number of clusters', () => {
  it.each(['silhouette', 'davies-bouldin', 'calinski-harabasz'] as const)(
    'is that which was planted, by %s',
    async (by) => {
      const steps: string[] = [];
      const onStep = (done: number, total: number) => steps.push(`${done}/${total}`);
      const settings = { method: 'kmeans', seed: 1, restarts: 3 };
      const { best, trials } = await chooseClusters(three.features, settings, { by, to: 5, onStep });
      expect(best.k).toBe(3);
      expect(compareClusterings(best.assignments, three.truth).adjustedRand).toBe(1);
      expect(trials.map(({ asked }) => asked)).toEqual([2, 3, 4, 5]);
      expect(steps).toEqual(['1/4', '2/4', '3/4', '4/4']);
      expect(best).toEqual(await cluster(three.features, { ...settings, k: 3 }));
      expect(trials[1]!.quality).toEqual(best.quality);
    },
  );

  it('is what the method finds where it finds one', async () => {
    const { best, trials } = await chooseClusters(three.features, {
      method: 'dbscan',
      seed: 1,
      epsilon: 3,
      minPoints: 4,
    });
    expect(best.k).toBe(3);
    expect(trials).toHaveLength(1);
  });

  it('ends at the points that differ, and is 1 where all are the same', async () => {
    const few = await chooseClusters(pointsOf([[0], [0], [5], [5], [9]]), { method: 'kmeans', seed: 1 }, { to: 9 });
    expect(few.trials.map(({ asked, k }) => [asked, k])).toEqual([
      [2, 2],
      [3, 3],
      [4, 3],
    ]);
    const same = await chooseClusters(pointsOf([[4], [4], [4]]), { method: 'hierarchical', seed: 1 });
    expect(same.best).toMatchObject({ k: 1, inertia: 0 });
    const one = await chooseClusters(pointsOf([[4]]), { method: 'minibatch', seed: 1 });
    expect(one.best.k).toBe(1);
  });

  it('can be stopped, and refuses ranges that are none', async () => {
    const settings = { method: 'kmeans', seed: 1 };
    const stopped = chooseClusters(three.features, settings, { signal: AbortSignal.abort() });
    await expect(stopped).rejects.toMatchObject({ code: 'interrupted' });
    for (const range of [{ from: 5, to: 3 }, { from: 0 }, { from: 2, to: 200 }, { to: 3.5 }]) {
      await expect(chooseClusters(three.features, settings, range)).rejects.toThrow(/^Clusters are chosen from /);
    }
  });
});

describe('stability', () => {
  it('is whole where clusters are planted, for each of them', async () => {
    const settings = { method: 'kmeans', seed: 1, k: 3, restarts: 2 };
    const { assignments } = await cluster(three.features, settings);
    const found = await stability(three.features, settings, assignments, { seeds: 3, bootstraps: 4 });
    expect(found.seeds).toEqual({ adjustedRand: [1, 1, 1], mean: 1, least: 1 });
    expect(found.bootstrap).toEqual({ adjustedRand: [1, 1, 1, 1], mean: 1, least: 1 });
    expect(found.clusters).toEqual([1, 1, 1]);
    expect(await stability(three.features, settings, assignments, { seeds: 3, bootstraps: 4 })).toEqual(found);
  });

  it('is low where a number of clusters is asked for that is not there', async () => {
    const { features } = planted({ count: 90, dimensions: 3, k: 1, seed: 3 });
    const settings = { method: 'kmeans', seed: 1, k: 5, restarts: 1 };
    const { assignments } = await cluster(features, settings);
    const { seeds, bootstrap, clusters } = await stability(features, settings, assignments, {
      seeds: 6,
      bootstraps: 8,
    });
    expect(seeds!.mean).toBeLessThan(0.9);
    expect(bootstrap!.mean).toBeLessThan(0.75);
    expect(bootstrap!.least).toBe(Math.min(...bootstrap!.adjustedRand));
    expect(Math.min(...clusters.map(Number))).toBeLessThan(0.75);
  });

  it('tells which cluster is not to be trusted', async () => {
    // Two planted far apart, and one cloud that k-means is made to halve.
    const settings = { method: 'kmeans', seed: 1, k: 4, restarts: 3 };
    const { assignments } = await cluster(three.features, settings);
    const { clusters } = await stability(three.features, settings, assignments, { seeds: 0, bootstraps: 15 });
    expect(clusters.filter((jaccard) => jaccard! > 0.85).length).toBe(2);
    expect(clusters.filter((jaccard) => jaccard! < 0.85).length).toBe(2);
  });

  it('measures nothing that it is not asked for, and leaves clusters without points out', async () => {
    const settings = { method: 'hierarchical', seed: 1, k: 2 };
    const { features } = three;
    const { assignments } = await cluster(features, settings);
    const none = await stability(features, settings, assignments, { seeds: 0, bootstraps: 0 });
    expect(none).toEqual({ seeds: null, bootstrap: null, clusters: [null, null] });
    const seeds = await stability(features, settings, assignments, { seeds: 2, bootstraps: 0 });
    expect(seeds.seeds!.adjustedRand).toEqual([1, 1]);
    await expect(stability(features, settings, assignments, { seeds: -1 })).rejects.toThrow('seeds is -1');
  });
});
