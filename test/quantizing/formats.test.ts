import { readFileSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { quantizeFlags } from '../../src/cli/quantize-flags.js';
import { type Model, openModel } from '../../src/model/index.js';
import { schemes } from '../../src/quantization/index.js';
import { FORMATS } from '../../src/quantizing/formats.js';
import { defaultFormat, quantizeEdit, quantizers } from '../../src/quantizing/index.js';
import { schemeNames } from '../../src/quantizing/scheme-names.js';
import { OUTPUT_FORMATS } from '../../src/recipe.js';
import { TINY_LLAMA, tinyModel, writeTinyModel } from '../reference/tiny-model.js';

const names = schemeNames();
const all = [...names.schemes, ...names.mixes];
let folder: string;
let model: Model;
beforeAll(async () => {
  // Every width is a multiple of 32 and of the groups of 64.
  const widths = { hidden_size: 64, intermediate_size: 128, num_attention_heads: 2, num_key_value_heads: 1 };
  folder = writeTinyModel(tinyModel({ ...TINY_LLAMA, ...widths, num_hidden_layers: 1, vocab_size: 64 }));
  model = await openModel(folder);
});
afterAll(async () => {
  await model.checkpoint.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('the format of a scheme where none is named', () => {
  it.each(all)('takes %s', async (scheme) => {
    const format = defaultFormat({ scheme }, names.mixes.includes(scheme) ? 'out.gguf' : 'out');
    const edit = await quantizeEdit({ scheme }, format);
    await expect(edit.check!(model)).resolves.toBeInstanceOf(Array);
  });

  it('is GGUF for a mix and for a file of that name', () => {
    expect(defaultFormat({ scheme: 'q6_k' }, 'out')).toBe('gguf');
    expect(defaultFormat({ bitsPerWeight: 5 }, 'x.GGUF')).toBe('gguf');
    expect(defaultFormat({ bitsPerWeight: 5 }, 'out')).toBe('compressed-tensors');
  });
});

describe('what is written of schemes and formats', () => {
  it('is the same in recipes, flags and here', () => {
    expect([...FORMATS].sort()).toEqual([...OUTPUT_FORMATS].sort());
    expect([...(quantizeFlags.format.options ?? [])].sort()).toEqual([...FORMATS].sort());
    expect([...(quantizeFlags.algorithm.options ?? [])].sort()).toEqual([...quantizers.names].sort());
  });

  it('names every scheme in the help and in docs/quantization.md', () => {
    const page = readFileSync(new URL('../../docs/quantization.md', import.meta.url), 'utf8');
    for (const name of all) expect(page, name).toContain(`\`${name}\``);
    for (const name of schemes.keys()) {
      if (!/^(fp8-e5m2|nf4-double)$/.test(name)) expect(quantizeFlags.scheme.summary).toContain(name);
    }
  });

  it('has the bits of each scheme as its parts take them', async () => {
    const page = readFileSync(new URL('../../docs/quantization.md', import.meta.url), 'utf8');
    for (const [name, bits] of [
      ['int6', '6.25'],
      ['int4', '4.25'],
      ['nf4', '4.5'],
    ] as const) {
      const edit = await quantizeEdit({ scheme: name }, 'native');
      const weight = 'model.layers.0.mlp.down_proj.weight';
      const parts = edit
        .plan(model)
        .values.filter(({ name: part }) => part.startsWith(weight) && !part.endsWith('_coding'));
      const bytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
      expect((8 * bytes) / (64 * 128)).toBe(Number(bits));
      const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\``));
      expect(row?.split('|')[3]?.trim()).toBe(bits);
    }
  });
});
