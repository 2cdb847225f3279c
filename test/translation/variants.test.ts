import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { convert } from '../../src/conversion/index.js';
import { openModel } from '../../src/model/index.js';
import { makeWorkplace } from '../fixtures/workplace.js';
import { llamaMissing, withLlama } from '../llama/llama.js';
import { negativeLogLikelihood } from '../model/logits.js';
import { referenceLogits } from '../reference/float64-decoder.js';
import { TINY_LLAMA, type TinyConfig, tinyModel, uniform, writeTinyModel } from '../reference/tiny-model.js';

const LLAMA3 = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 32 };
/** Many pairs in the stretch between the ends of Llama 3's scaling, from which it is read back. */
const WIDE = { head_dim: 64, rope_theta: 200 };
const MISTRAL = { model_type: 'mistral', architectures: ['MistralForCausalLM'] };

interface Variant {
  readonly config: Readonly<Record<string, unknown>>;
  /** The same weights without what the variant adds must give something else, or the test would not see it. */
  readonly without?: Readonly<Record<string, unknown>>;
}

const VARIANTS: Readonly<Record<string, Variant>> = {
  'a plain model': { config: {} },
  'one key head per query head': { config: { num_key_value_heads: 4 } },
  'one key head for all': { config: { num_key_value_heads: 1 } },
  'heads wider than hidden / heads': { config: { head_dim: 12 } },
  'a tied head': { config: { tie_word_embeddings: true } },
  'attention and MLP biases': { config: { attention_bias: true, mlp_bias: true } },
  'another rope_theta': { config: { rope_theta: 1000 }, without: { rope_theta: 10_000 } },
  'linear rope scaling': {
    config: { rope_scaling: { rope_type: 'linear', factor: 4 } },
    without: { rope_scaling: null },
  },
  "Llama 3's rope scaling": {
    config: { ...WIDE, rope_scaling: { rope_type: 'llama3', ...LLAMA3 } },
    without: { rope_scaling: null },
  },
  'a large norm epsilon': { config: { rms_norm_eps: 0.05 }, without: { rms_norm_eps: 1e-5 } },
  'Mistral without a window': { config: { ...MISTRAL, sliding_window: null } },
};

const LENGTH = 48;
const seeds = new Map(Object.keys(VARIANTS).map((name, i) => [name, i + 1]));

describe('what a variant of the architecture becomes as GGUF', () => {
  let place: string;
  let folder: string;
  beforeAll(() => {
    place = makeWorkplace();
    folder = path.join(place, 'models', 'fledgling');
  });
  afterAll(() => rmSync(place, { recursive: true }));

  const make = (variant: Readonly<Record<string, unknown>>, seed: number) => {
    const model = tinyModel({ ...TINY_LLAMA, ...variant } as TinyConfig, seed);
    writeTinyModel(model, folder);
    const random = uniform(seed);
    return { model, ids: Int32Array.from({ length: LENGTH }, () => Math.floor(random() * 61)) };
  };

  it.skipIf(llamaMissing !== undefined).each(Object.entries(VARIANTS))(
    `%s is computed by llama.cpp as its definition says in float64${llamaMissing === undefined ? '' : ` (${llamaMissing})`}`,
    async (name, { config, without }) => {
      const { model, ids } = make(config, seeds.get(name)!);
      const expected = likelihoods(referenceLogits(model, ids), ids);
      const gguf = path.join(place, `${seeds.get(name)}.gguf`);
      await convert({ model: folder, out: gguf });
      const found = await withLlama(gguf, (llama) => llama.negativeLogLikelihoods([...ids]));
      // llama.cpp keeps keys and values in F16.
      expect(largestDifference(found, expected)).toBeLessThan(0.02);
      if (without === undefined) return;
      const plain = { ...model, config: { ...model.config, ...without } as TinyConfig };
      expect(largestDifference(likelihoods(referenceLogits(plain, ids), ids), expected)).toBeGreaterThan(0.05);
    },
  );

  it.each(Object.entries(VARIANTS))('%s reads back as the model that it was', async (name, { config }) => {
    make(config, seeds.get(name)!);
    const gguf = path.join(place, `${seeds.get(name)}-back.gguf`);
    await convert({ model: folder, out: gguf });
    const [before, after] = [await openModel(folder), await openModel(gguf)];
    const { ropeTheta, normEpsilon, architecture, eosTokenIds, bosTokenId, ...numbers } = after.decoder;
    // Mistral without a window is a Llama, and llama.cpp calls it one; ids come with the tokenizer.
    expect(architecture).toBe('llama');
    expect([Math.fround(ropeTheta), Math.fround(normEpsilon)]).toEqual([
      Math.fround(before.decoder.ropeTheta),
      Math.fround(before.decoder.normEpsilon),
    ]);
    expect(numbers).toEqual(
      Object.fromEntries(Object.keys(numbers).map((key) => [key, before.decoder[key as 'hidden']])),
    );
    for (const tensor of before.checkpoint.tensors.keys()) {
      const [first, second] = [await before.checkpoint.read(tensor), await after.checkpoint.read(tensor)];
      expect(Buffer.compare(first, second), tensor).toBe(0);
    }
    await before.checkpoint.close();
    await after.checkpoint.close();
  });

  it('a sliding window shorter than the context stays in the file, with a word on what llama.cpp makes of it', async () => {
    const { model, ids } = make({ ...MISTRAL, sliding_window: 5 }, 40);
    const gguf = path.join(place, 'window.gguf');
    const { lost } = await convert({ model: folder, out: gguf });
    expect(lost.join('\n')).toContain('sliding_window 5: llama.cpp');
    const back = await openModel(gguf);
    expect(back.decoder).toMatchObject({ architecture: 'mistral', slidingWindow: 5 });
    await back.checkpoint.close();
    if (llamaMissing !== undefined) return;
    const unlimited = { ...model, config: { ...model.config, sliding_window: null } as TinyConfig };
    const found = await withLlama(gguf, (llama) => llama.negativeLogLikelihoods([...ids]));
    expect(largestDifference(found, likelihoods(referenceLogits(unlimited, ids), ids))).toBeLessThan(0.02);
    expect(largestDifference(found, likelihoods(referenceLogits(model, ids), ids))).toBeGreaterThan(0.05);
  });
});

function likelihoods(logits: ReturnType<typeof referenceLogits>, ids: Int32Array): number[] {
  return Array.from(ids.subarray(1), (id, t) => {
    const row = Float32Array.from(logits[t]!);
    return negativeLogLikelihood(row, 0, row.length, id);
  });
}

function largestDifference(values: readonly number[], expected: readonly number[]): number {
  expect(values.length).toBe(expected.length);
  return expected.reduce((largest, value, i) => Math.max(largest, Math.abs(value - values[i]!)), 0);
}
