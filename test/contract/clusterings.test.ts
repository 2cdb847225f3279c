import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ClusteringSettings, cluster, clusterings, compareClusterings } from '../../src/clusters/index.js';
import { planted } from '../clusters/planted.js';

const settingsOf = async (method: string, k: number, seed = 1): Promise<ClusteringSettings> => {
  const { isNumbered } = await clusterings.load(method);
  return { method, seed, ...(isNumbered ? { k } : {}) };
};

/** Few values, so that points coincide and lie as far apart as others. */
const cloud = fc.record({
  dimensions: fc.integer({ min: 1, max: 4 }),
  values: fc.array(fc.constantFrom(-2, -1, -0, 0, 1, 1, 5, 0.1), { minLength: 1, maxLength: 60 }),
  k: fc.integer({ min: 1, max: 7 }),
  exponent: fc.integer({ min: -400, max: 400 }),
});

function featuresOf(values: readonly number[], dimensions: number, factor = 1) {
  const count = Math.ceil(values.length / dimensions);
  const all = Float64Array.from({ length: count * dimensions }, (_, i) => values[i % values.length]! * factor);
  return { values: all, count, dimensions };
}

describe.each(clusterings.names)('clustering %s', (name) => {
  it('recovers planted clusters', async () => {
    for (const seed of [1, 2]) {
      const { features, truth } = planted({ count: 300, dimensions: 16, k: 5, apart: 10, seed });
      const { assignments } = await cluster(features, await settingsOf(name, 5));
      // Adjusted Rand index; what a method takes for noise counts against it.
      expect(compareClusterings(truth, assignments).adjustedRand).toBeGreaterThanOrEqual(0.95);
    }
  });

  it('numbers its clusters by their first points, none empty, with means and figures that are numbers', async () => {
    await fc.assert(
      fc.asyncProperty(cloud, async ({ values, dimensions, k }) => {
        const features = featuresOf(values, dimensions);
        const found = await cluster(features, await settingsOf(name, k));
        const firsts = Array.from({ length: found.k }, (_, i) => found.assignments.indexOf(i));
        expect(firsts).toEqual(
          [...new Set(found.assignments)].filter((group) => group !== -1).map((_, i) => firsts[i]),
        );
        expect(firsts).toEqual(firsts.toSorted((a, b) => a - b));
        expect(Math.min(0, ...firsts)).toBe(0);
        expect(Math.max(-1, ...found.assignments)).toBe(found.k - 1);
        expect(found.sizes.length).toBe(found.k);
        expect(found.sizes.reduce((sum, size) => sum + size, 0)).toBe(found.assignments.filter((c) => c >= 0).length);
        for (const [at, value] of found.centroids.entries()) {
          const cluster = Math.floor(at / dimensions);
          const members = [...found.assignments.keys()].filter((i) => found.assignments[i] === cluster);
          const sum = members.reduce((all, i) => all + features.values[i * dimensions + (at % dimensions)]!, 0);
          expect(value).toBeCloseTo(sum / members.length, 12);
        }
        for (const figure of Object.values(found.quality))
          expect(figure === null || Number.isFinite(figure)).toBe(true);
        expect(found.inertia).toBe(found.quality.inertia);
      }),
      { numRuns: 40 },
    );
  });

  it('makes as many clusters as it is told, or as many as points differ and says so', async () => {
    if (!(await clusterings.load(name)).isNumbered) return;
    await fc.assert(
      fc.asyncProperty(cloud, async ({ values, dimensions, k }) => {
        const features = featuresOf(values, dimensions);
        const points = Array.from({ length: features.count }, (_, i) =>
          [...features.values.subarray(i * dimensions, (i + 1) * dimensions)].map((value) => value + 0).join(),
        );
        const different = new Set(points).size;
        const found = await cluster(features, await settingsOf(name, k));
        expect(found.k).toBe(Math.min(k, different));
        const note = `${k} clusters were asked for, but only ${different} points differ.`;
        expect(found.notes).toEqual(different < k ? [note] : []);
      }),
      { numRuns: 40 },
    );
  });

  it('is the same on every run, modifies nothing, and does not look at the unit', async () => {
    await fc.assert(
      fc.asyncProperty(cloud, async ({ values, dimensions, k, exponent }) => {
        const features = featuresOf(values, dimensions);
        const before = features.values.slice();
        const settings = await settingsOf(name, k, 9);
        const found = await cluster(features, settings);
        expect(await cluster(features, settings)).toEqual(found);
        expect(features.values).toEqual(before);
        const other = await cluster(featuresOf(values, dimensions, 2 ** exponent), settings);
        expect(other.assignments).toEqual(found.assignments);
        expect(other.quality.silhouette).toBe(found.quality.silhouette);
        expect(other.centroids).toEqual(found.centroids.map((value) => value * 2 ** exponent));
      }),
      { numRuns: 25 },
    );
  });

  it('puts points that are the same into the same cluster', async () => {
    const { features } = planted({ count: 60, dimensions: 3, k: 3, apart: 3, seed: 4 });
    const values = Float64Array.from({ length: 360 }, (_, at) => features.values[at % 180]!);
    const { assignments } = await cluster({ values, count: 120, dimensions: 3 }, await settingsOf(name, 4));
    expect(assignments.slice(60)).toEqual(assignments.slice(0, 60));
  });

  it('refuses features that are no points, and settings that are none of its own', async () => {
    const settings = await settingsOf(name, 2);
    const refuse = (features: { values: Float64Array; count: number; dimensions: number }, changed = {}) =>
      expect(cluster(features, { ...settings, ...changed }));
    const fine = featuresOf([1, 2, 3, 4], 2);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, -1e141]) {
      await refuse(featuresOf([1, 2, 3, bad], 2)).rejects.toThrow(`Point 1 has ${bad} in dimension 1`);
    }
    await refuse({ ...fine, count: 3 }).rejects.toThrow('4 values are no 3 points of 2 dimensions');
    await refuse({ values: new Float64Array(0), count: 0, dimensions: 2 }).rejects.toThrow('0 values are no 0 points');
    await refuse(fine, { seed: 0.5 }).rejects.toThrow('The seed is 0.5');
    const { takes, limit } = await clusterings.load(name);
    const every = { k: 2, restarts: 2, linkage: 'ward', depth: 2, height: 1, epsilon: 1, minPoints: 2 };
    for (const [setting, value] of Object.entries(every)) {
      const isTaken = takes.some((taken) => taken === setting);
      if (!isTaken) await refuse(fine, { [setting]: value }).rejects.toThrow(`${name} has no setting ${setting}`);
      else await refuse(fine, { [setting]: 'ten' }).rejects.toThrow(/ten/);
      if (isTaken && setting !== 'linkage') await refuse(fine, { [setting]: -1 }).rejects.toThrow(`${setting} is -1`);
    }
    const many = { values: new Float64Array(limit.points + 1), count: limit.points + 1, dimensions: 1 };
    await refuse(many).rejects.toThrow(`${name} takes at most ${limit.points} points: ${limit.because}`);
  });
});

it('asks for a number of clusters, once', async () => {
  const features = featuresOf([1, 2, 3, 4], 2);
  await expect(cluster(features, { method: 'kmeans', seed: 1 })).rejects.toThrow('Give k.');
  await expect(cluster(features, { method: 'hierarchical', seed: 1 })).rejects.toThrow('Give k, or depth, or height.');
  await expect(cluster(features, { method: 'hierarchical', seed: 1, k: 2, depth: 1 })).rejects.toThrow('k and depth');
  await expect(cluster(features, { method: 'kmean', seed: 1, k: 2 })).rejects.toThrow('no clustering "kmean"');
});
