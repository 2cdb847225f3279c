import { describe, expect, it } from 'vitest';
import { candidatesOf } from '../../src/pipelines/candidates.js';
import { parseRecipe } from '../../src/recipe.js';

const recipe = (steps: readonly Record<string, unknown>[], out = 'o.gguf') =>
  parseRecipe({ recipe: 1, model: 'm', out, steps }, 'the test');
const names = (steps: readonly Record<string, unknown>[], out?: string) =>
  candidatesOf(recipe(steps, out)).map(({ name }) => name);

const FFN = { do: 'prune', plates: 'ffn', sparsity: 0.2, waves: 4 };
const Q4 = { do: 'quantize', scheme: 'q4_k_m' };

describe('candidates of a search', () => {
  it('are every budget of every step, each step left out too, in the orders that are allowed', () => {
    expect(names([FFN, Q4])).toEqual([
      ...['prune ffn 20 % + quantize q4_k_m', 'prune ffn 20 % + quantize q5_k_m', 'prune ffn 20 % + quantize q3_k_m'],
      'prune ffn 20 %',
      ...['prune ffn 10 % + quantize q4_k_m', 'prune ffn 10 % + quantize q5_k_m', 'prune ffn 10 % + quantize q3_k_m'],
      'prune ffn 10 %',
      ...['quantize q4_k_m', 'quantize q5_k_m', 'quantize q3_k_m'],
    ]);
  });

  it('have both orders of steps that go in both', () => {
    expect(names([FFN, { do: 'prune', sparsity: 0.5 }], 'o').filter((name) => name.includes('20 %'))).toEqual([
      ...['prune ffn 20 % + prune 50 %', 'prune 50 % + prune ffn 20 %', 'prune ffn 20 % + prune 25 %'],
      ...['prune 25 % + prune ffn 20 %', 'prune ffn 20 %'],
    ]);
  });

  it('prune in one wave, and keep what else a step says', () => {
    const [first] = candidatesOf(recipe([{ ...FFN, target: 'llama.cpp', minStep: 0.05 }]));
    expect(first!.steps).toMatchObject([
      { waves: 1, schedule: 'constant', target: 'llama.cpp', minStep: 0.05, sparsity: 0.2 },
    ]);
  });

  it('stay within the schemes of the form of the result', () => {
    expect(names([{ do: 'quantize', scheme: 'q8_0' }])).toEqual(['quantize q8_0', 'quantize q6_k']);
    expect(names([{ do: 'quantize', scheme: 'nf4' }], 'o')).toEqual(['quantize nf4']);
    expect(names([{ do: 'quantize', scheme: 'int4' }], 'o')).toEqual([
      'quantize int4',
      'quantize int5',
      'quantize int3',
    ]);
  });

  it('are refused where there are too many, and for other tokens', () => {
    const many = [0.1, 0.2, 0.3, 0.4].map((sparsity) => ({ do: 'prune', sparsity, metric: 'magnitude' }));
    expect(() => candidatesOf(recipe(many, 'o'))).toThrow(/at most 64 are tried/);
    expect(() => candidatesOf(recipe([{ do: 'prune', plates: 'vocabulary' }], 'o'))).toThrow(/other tokens/);
  });
});
