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
});
