import { describe, expect, it } from 'vitest';
import { tendency } from '../../src/clusters/index.js';
import { seededRandom } from '../../src/random.js';
import { normal, planted, pointsOf } from './planted.js';

const settings = { method: 'kmeans', seed: 1, k: 3, restarts: 1 };

describe('the tendency to cluster', () => {
  it('is there for planted clusters: no cloud is as good', async () => {
    const { features } = planted({ count: 90, dimensions: 4, k: 3, apart: 5, seed: 1 });
    const steps: number[] = [];
    const found = await tendency(features, settings, { onStep: (done) => steps.push(done) });
    expect(found.clouds).toHaveLength(19);
    expect(found.silhouette!).toBeGreaterThan(Math.max(...found.clouds) + 0.1);
    expect(found.chance).toBe(0.05);
    expect(steps).toEqual(Array.from({ length: 19 }, (_, i) => i + 1));
    expect(await tendency(features, settings)).toEqual(found);
  });

  it('is there for two clusters along one axis of many', async () => {
    const random = seededRandom(5);
    const rows = Array.from({ length: 80 }, (_, i) =>
      [i % 2 === 0 ? -6 : 6, 0, 0].map((middle) => middle + normal(random)),
    );
    expect((await tendency(pointsOf(rows), { ...settings, k: 2 })).chance).toBe(0.05);
  });

  it('is not there for one cloud, whatever its shape: the chance is as often below a fifth as it says', async () => {
    let low = 0;
    for (let seed = 1; seed <= 30; seed += 1) {
      const random = seededRandom(seed);
      const rows = Array.from({ length: 40 }, () => {
        const [a, b, c] = [normal(random), normal(random), normal(random)];
        return [5 * a, a + b, 3 * b + c / 10];
      });
      const { chance } = await tendency(pointsOf(rows), { ...settings, seed }, { clouds: 9 });
      if (chance <= 0.2) low += 1;
    }
    // Binomial with 30 draws of 0.2: 13 or more has a chance of 0.2 %.
    expect(low).toBeLessThan(13);
  });

  it('chooses the number for each cloud where none is given', async () => {
    const { features } = planted({ count: 60, dimensions: 3, k: 3, apart: 6, seed: 3 });
    const { k: _, ...open } = settings;
    const found = await tendency(features, open, { clouds: 4, from: 2, to: 4 });
    const fixed = await tendency(features, settings, { clouds: 4 });
    expect(found.silhouette).toBe(fixed.silhouette);
    for (const [at, cloud] of found.clouds.entries()) expect(cloud).toBeGreaterThanOrEqual(fixed.clouds[at]!);
    expect(found.clouds).not.toEqual(fixed.clouds);
  });

  it('is not there for points that are the same, and refuses no clouds', async () => {
    const same = pointsOf([
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
    expect(await tendency(same, settings, { clouds: 3 })).toEqual({
      silhouette: null,
      clouds: [-1, -1, -1],
      chance: 1,
    });
    await expect(tendency(same, settings, { clouds: 0 })).rejects.toThrow('clouds is 0');
  });
});
