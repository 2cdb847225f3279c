import { Parser } from '@oclif/core';
import { describe, expect, it } from 'vitest';
import { quantizeFields, quantizeFlags } from '../../src/cli/quantize-flags.js';
import { parseRecipe } from '../../src/recipe.js';

async function fieldsOf(...argv: string[]) {
  const { flags } = await Parser.parse(argv, { flags: quantizeFlags, strict: true });
  const step = { do: 'quantize', ...quantizeFields(flags) };
  return parseRecipe({ recipe: 1, model: 'm', out: 'o', steps: [step] }, 'test').steps[0];
}

describe('the flags of quantize', () => {
  it('become the fields of a step, and leave out what was not given', async () => {
    expect(await fieldsOf('--scheme', 'int4', '--group-size', '128', '--asymmetric', '--scale', 'mse')).toEqual({
      do: 'quantize',
      scheme: 'int4',
      groupSize: 128,
      asymmetric: true,
      scale: 'mse',
    });
    expect(await fieldsOf('--scheme', 'q4_k_m')).toEqual({ do: 'quantize', scheme: 'q4_k_m' });
    expect(await fieldsOf('--scheme', 'int8', '--group-size', 'channel')).toMatchObject({ groupSize: 'channel' });
  });

  it('take several overrides, of globs that may hold an equals sign', async () => {
    expect(await fieldsOf('--scheme', 'int4', '--keep', '*down*=int8', '--keep', 'a=b.*=dense')).toMatchObject({
      keep: { '*down*': 'int8', 'a=b.*': 'dense' },
    });
  });

  it.each([
    ['--group-size', '1'],
    ['--group-size', 'row'],
    ['--group-size', '64.5'],
    ['--keep', 'int8'],
    ['--keep', '*down*='],
    ['--keep', '=int8'],
  ])('refuse %s %s, and say what is allowed', async (flag, value) => {
    await expect(fieldsOf('--scheme', 'int4', flag, value)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(/".*" is not allowed\. It must be/),
    });
  });
});
