import { describe, expect, it } from 'vitest';
import { recipeOverrides, runSettings } from '../../src/cli/recipe-flags.js';
import { parseRecipe } from '../../src/recipe.js';

const steps = [{ do: 'prune' as const, sparsity: 0.5 }];

describe('recipeOverrides', () => {
  it('is empty where no flag is given, so that a recipe keeps its own values', () => {
    expect(recipeOverrides({})).toEqual({});
    expect(recipeOverrides({ 'gate-confident': false })).toEqual({});
  });

  it('names texts and gate as a recipe does', () => {
    const flags = {
      out: 'out/half',
      calibration: 'c.txt',
      'calibration-windows': 64,
      context: 128,
      data: 'd.jsonl',
      protocol: 'documents' as const,
      'max-drop': 0.05,
      seed: 7,
    };
    expect(recipeOverrides(flags)).toEqual({
      out: 'out/half',
      calibration: { file: 'c.txt', windows: 64, context: 128 },
      evaluation: { file: 'd.jsonl', protocol: 'documents', context: 128 },
      maxDrop: 0.05,
      seed: 7,
    });
  });

  it('refuses a number of calibration windows without a text to take them from', () => {
    expect(() => recipeOverrides({ 'calibration-windows': 64, data: 'd.txt' })).toThrow(
      expect.objectContaining({
        code: 'usage',
        message: expect.stringMatching(/^--calibration-windows 64 .* allowed together with --calibration only\.$/),
        suggestions: [expect.stringContaining('--calibration FILE'), expect.any(String)],
      }),
    );
  });

  it('makes a whole recipe together with a model and a step', () => {
    const recipe = parseRecipe({ recipe: 1, model: 'm', ...recipeOverrides({ out: 'o', limit: 3 }), steps }, 'flags');
    expect(recipe).toMatchObject({
      maxDrop: 0.03,
      seed: 0,
      evaluation: { protocol: 'windows', context: 256, limit: 3 },
    });
  });
});

describe('runSettings', () => {
  it('leaves out what was not said', () => {
    expect(runSettings({ device: 'cpu', memory: 5e8 })).toEqual({ device: 'cpu', memoryBytes: 5e8 });
  });
});
