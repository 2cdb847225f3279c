import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadRecipe } from '../../src/recipe.js';
import { openInputs } from '../../src/waves/index.js';

const folder = path.join(import.meta.dirname, '..', '..', 'configs');
const root = path.dirname(folder);
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));

/** The recipes that come with birdbone, on the model that does. */
describe('a shipped recipe', () => {
  it('is one of these', () => {
    expect(files.sort()).toEqual(
      ['edge', 'half', 'half-size', 'llama.cpp-4bit', 'quarter-size', 'vllm-w4a16']
        .map((name) => `${name}.json`)
        .sort(),
    );
  });

  it.each(files)('%s can begin: its steps go together, its form holds them, its texts are there', async (name) => {
    const recipe = await loadRecipe(path.join(folder, name));
    const inRoot = (file: string) => path.join(root, file);
    const { calibration, evaluation } = recipe;
    const inputs = await openInputs({
      ...recipe,
      model: inRoot(recipe.model),
      ...(calibration && { calibration: { ...calibration, file: inRoot(calibration.file) } }),
      evaluation: { ...evaluation, ...(evaluation.file && { file: inRoot(evaluation.file) }) },
    });
    await inputs.model.checkpoint.close();
    expect(inputs.edits).toHaveLength(recipe.steps.length);
    expect(inputs.evaluation!.passages.length).toBeGreaterThan(0);
    // What a recipe would have to be told of, it says itself better.
    expect(inputs.notices.filter((notice) => /fall back|no smaller/.test(notice))).toEqual([]);
  });
});
