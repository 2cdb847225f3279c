import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadRecipe, parseRecipe } from '../src/recipe.js';

const HALF = { recipe: 1, model: 'm', out: 'o', steps: [{ do: 'prune', sparsity: 0.5 }] };

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'birdbone-recipe-'));
  file = path.join(folder, 'recipe.json');
});
afterEach(() => rm(folder, { recursive: true }));

describe('loadRecipe', () => {
  it('lets a flag win over the field it names, and leaves its neighbours', async () => {
    await writeFile(file, JSON.stringify({ ...HALF, calibration: { file: 'c.txt', windows: 7 } }));
    const recipe = await loadRecipe(file, { seed: 3, calibration: { file: 'other.txt' } });
    expect(recipe).toMatchObject({ seed: 3, calibration: { file: 'other.txt', windows: 7, context: 256 } });
  });

  it('lets maxDrop win over a gate that the file names, but not over one given beside it', async () => {
    await writeFile(file, JSON.stringify({ ...HALF, gate: 'perplexity<1.1x' }));
    expect((await loadRecipe(file)).gate).toBe('perplexity<1.1x');
    expect(await loadRecipe(file, { maxDrop: 0.01 })).toMatchObject({ maxDrop: 0.01 });
    expect((await loadRecipe(file, { maxDrop: 0.01 })).gate).toBeUndefined();
    expect((await loadRecipe(file, { maxDrop: 0.01, gate: 'kl<1' })).gate).toBe('kl<1');
  });

  it('refuses what is no recipe as usage: not there, not JSON, too large', async () => {
    await expect(loadRecipe(file)).rejects.toMatchObject({ code: 'usage' });
    await writeFile(file, '{"recipe": 1,');
    await expect(loadRecipe(file)).rejects.toThrow(/recipe\.json is not JSON/);
    await writeFile(file, ' '.repeat(1_048_577));
    await expect(loadRecipe(file)).rejects.toThrow(/has 1048577 bytes/);
  });
});

describe('parseRecipe', () => {
  it('names every field that is wrong', () => {
    const steps = [{ do: 'prune', sparsity: 1.5, wave: 3 }];
    expect(() => parseRecipe({ ...HALF, seed: -1, steps }, 'a test')).toThrow(/seed: .*\n.*steps\.0/s);
  });

  it('fills in how thresholds of clusters are found, and says where that has no effect', () => {
    const step = { do: 'prune', sparsity: 0.5, thresholds: 'cluster' };
    const [filled] = parseRecipe({ ...HALF, steps: [step] }, 'a test').steps;
    expect(filled).toMatchObject({ clusterThresholds: { clusters: 4, least: 0, most: 0.99, generations: 40 } });
    const own = { overrides: { 'a.weight#1': 0.5, 'b.*': { least: 0.2 } } };
    const [set] = parseRecipe({ ...HALF, steps: [{ ...step, clusterThresholds: own }] }, 'a test').steps;
    expect(set).toMatchObject({ clusterThresholds: { ...own, patience: 8 } });
    const elsewhere = { ...step, thresholds: 'owl', clusterThresholds: {} };
    expect(() => parseRecipe({ ...HALF, steps: [elsewhere] }, 'a test')).toThrow(
      'steps.0.clusterThresholds: has no effect with the thresholds owl',
    );
  });

  it.each([
    [{ overrides: { a: 1.2 } }, /overrides/],
    [{ overrides: { a: { least: 0.6, most: 0.5 } } }, /the least is above the most|overrides/],
    [{ least: 0.6, most: 0.5 }, /clusterThresholds: the least is above the most/],
    [{ generation: 3 }, /generation/],
    [{ clusters: 0 }, /clusters/],
  ])('refuses %j of thresholds', (clusterThresholds, message) => {
    const steps = [{ do: 'prune', sparsity: 0.5, thresholds: 'cluster', clusterThresholds }];
    expect(() => parseRecipe({ ...HALF, steps }, 'a test')).toThrow(message);
  });
});
