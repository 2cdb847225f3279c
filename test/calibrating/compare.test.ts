import { rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { calibrate, compareSets } from '../../src/calibrating/index.js';
import { parseRecipe } from '../../src/recipe.js';
import { run } from '../../src/waves/index.js';
import { makeWorkplace } from '../fixtures/workplace.js';

let place: string;
beforeAll(() => {
  place = makeWorkplace();
});
afterAll(() => rmSync(place, { recursive: true, force: true }));

const at = (...parts: string[]) => path.join(place, ...parts);

async function made(name: string, seed: number) {
  return calibrate({
    sources: [at('models/fledgling/calibration.txt')],
    model: at('models/fledgling'),
    out: at(name),
    windows: 4,
    context: 32,
    choice: 'random',
    seed,
    device: 'cpu',
  });
}

describe('sets made by calibrate', () => {
  it('calibrate a run, whose manifest names them by their hash', async () => {
    const set = await made('set.json', 1);
    const { manifest } = await run({
      recipe: parseRecipe(
        {
          recipe: 1,
          model: at('models/fledgling'),
          out: at('out/set'),
          calibration: { file: set.out, context: 32 },
          evaluation: { file: at('models/fledgling/evaluation.txt'), context: 32, limit: 2 },
          maxDrop: 1,
          monitor: 'basic',
          steps: [{ do: 'quantize', scheme: 'int4', algorithm: 'awq' }],
        },
        'the test',
      ),
      device: 'cpu',
      diffs: at('diffs'),
    });
    const { measured } = JSON.parse(await readFile(manifest, 'utf8'));
    expect(measured.calibration).toEqual({ name: 'set.json', sha256: set.sha256 });
  });

  it('are compared by what is made with them, the smallest divergence first', async () => {
    const sets = [(await made('one.json', 1)).out, (await made('two.json', 2)).out];
    const compared = await compareSets({
      sets,
      model: at('models/fledgling'),
      data: at('models/fledgling/evaluation.txt'),
      scheme: 'int2',
      algorithm: 'gptq',
      windows: 4,
      context: 32,
      limit: 2,
      seed: 0,
      device: 'cpu',
    });
    expect(compared.sets.map(({ name }) => name).sort()).toEqual(['one.json', 'two.json']);
    const [best, other] = compared.sets.map(({ figures }) => figures['kl']!);
    expect(best).toBeGreaterThan(0);
    expect(best).toBeLessThan(other!);
    expect(compared.baseline['perplexity']).toBeGreaterThan(1);
  });

  it('need two to be compared', async () => {
    const one = { sets: ['a.json'], model: 'm', data: 'd', scheme: 'int4', algorithm: 'gptq' } as const;
    const comparing = compareSets({ ...one, windows: 4, context: 32, seed: 0 });
    await expect(comparing).rejects.toMatchObject({ code: 'usage' });
  });
});
