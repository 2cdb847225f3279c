import { describe, expect, it } from 'vitest';
import { parseRecipe } from '../../src/recipe.js';
import { compatibilityNotices, findingsOf } from '../../src/waves/compatibility.js';
import { go, inWorkplaces } from '../fixtures/runs.js';

inWorkplaces();

type Steps = readonly Record<string, unknown>[];

const recipe = (steps: Steps, format = 'native') =>
  parseRecipe(
    { recipe: 1, model: 'm', out: format === 'gguf' ? 'o.gguf' : 'o', output: { format }, steps },
    'the test',
  );

const WEIGHTS = { do: 'prune', sparsity: 0.5 };
const FFN = { do: 'prune', sparsity: 0.2, plates: 'ffn' };
const TOKENS = { do: 'prune', plates: 'vocabulary' };
const HEAL = { do: 'heal' };
const INT4 = { do: 'quantize', scheme: 'int4' };
const FACTORS = { do: 'factorize', ratio: 0.2 };
const FUSED = { do: 'factorize', ratio: 0.2, format: 'dense' };

describe('steps in one recipe', () => {
  const refused: readonly (readonly [string, string, Steps, string | undefined])[] = [
    ['single weights after codes', 'codes are final', [INT4, WEIGHTS], undefined],
    ['plates after codes', 'codes are final', [INT4, FFN], undefined],
    ['factors of codes', 'codes are final', [INT4, FACTORS], undefined],
    ['codes of codes', 'rounded once', [INT4, { ...INT4, scheme: 'int8' }], undefined],
    ['codes of codes with something between', 'codes are final', [INT4, FFN, INT4], undefined],
    ['weights out of factors', 'factors are final', [FACTORS, WEIGHTS], undefined],
    ['codes that are healed', 'codes are final', [WEIGHTS, INT4, HEAL], undefined],
    ['factors that are healed', 'factors are not healed', [FACTORS, HEAL], undefined],
    ['codes for factors', 'factors stay floats', [FACTORS, INT4], undefined],
    ['zeros that factors fill', 'low rank fills zeros', [WEIGHTS, FACTORS], undefined],
    ['other tokens than the dense model', 'tokens keep their numbers', [TOKENS, INT4], undefined],
    ['parts of groups', 'whole groups', [FFN, INT4], 'compressed-tensors'],
    ['parts of groups for llama.cpp in GPTQ', 'whole groups', [{ ...FFN, target: 'llama.cpp' }, INT4], 'gptq'],
  ];
  it.each(refused)('are refused for %s, with the reason', (_, rule, steps, format) => {
    const found = findingsOf(recipe(steps, format)).filter(({ kind }) => kind === 'refused');
    expect(found[0]).toMatchObject({ rule });
    const message = `These steps do not go together (${rule}): ${found[0]!.reason}.`;
    const suggestions = [found[0]!.suggestion];
    expect(() => compatibilityNotices(recipe(steps, format))).toThrow(
      expect.objectContaining({ code: 'usage', message, suggestions }),
    );
  });

  const allowed: readonly (readonly [string, number, Steps, string | undefined])[] = [
    ['one step', 0, [INT4], undefined],
    ['plates, then codes', 0, [FFN, INT4], undefined],
    ['plates in whole groups', 0, [{ ...FFN, target: 'vllm' }, INT4], 'compressed-tensors'],
    [
      'plates in whole blocks',
      0,
      [
        { ...FFN, target: 'llama.cpp' },
        { do: 'quantize', scheme: 'q4_k_m' },
      ],
      'gguf',
    ],
    ['healing between zeros and more of them', 0, [WEIGHTS, HEAL, { ...WEIGHTS, sparsity: 0.6 }], undefined],
    ['a product that is healed', 0, [FUSED, HEAL], undefined],
    ['plates and weights', 0, [FFN, WEIGHTS], undefined],
    ['plates and factors', 0, [FFN, FACTORS], undefined],
    ['single weights, whose zeros codes keep at full size', 1, [WEIGHTS, INT4], undefined],
    ['low rank that codes do not use', 1, [FUSED, INT4], undefined],
    ['plates that leave rows of other lengths than blocks', 1, [FFN, { do: 'quantize', scheme: 'q4_k_m' }], 'gguf'],
  ];
  it.each(allowed)('may be %s, with %i words about it', (_, notices, steps, format) => {
    expect(compatibilityNotices(recipe(steps, format))).toHaveLength(notices);
  });

  it('are refused before any work', async () => {
    const report = () => {
      throw new Error('there was work');
    };
    await expect(go({ steps: [INT4, WEIGHTS] }, { report })).rejects.toMatchObject({ code: 'usage' });
  });
});
