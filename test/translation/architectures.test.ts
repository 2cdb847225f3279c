import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { convert } from '../../src/conversion/index.js';
import { type Decoder, openModel } from '../../src/model/index.js';
import { decodeToF32 } from '../../src/tensor/index.js';
import {
  architectureFixtures,
  type ConfigKeys,
  type FixtureModel,
  fixtureModel,
  randomIds,
  withLeftovers,
  writeFixture,
} from '../fixtures/architectures/index.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { writeTokenizer } from '../fixtures/workplace.js';
import { llamaMissing, withLlama } from '../llama/llama.js';
import { negativeLogLikelihood } from '../model/logits.js';
import { referenceForwards } from '../reference/architectures/index.js';

interface Case {
  readonly modelType: string;
  readonly name: string;
  /** Of config.json: undefined takes a key away. */
  readonly config: ConfigKeys;
  /** The same weights without what the case adds must give something else, or the test would not see it. */
  readonly without?: ConfigKeys;
}

/** Heads of Gemma as llama.cpp scales them. */
const GEMMA = { query_pre_attn_scalar: 12 };
const longRope = (pairs: number) => ({
  long_factor: Array.from({ length: pairs }, (_, i) => 1.5 + 0.75 * i),
  short_factor: Array.from({ length: pairs }, (_, i) => 1 + 0.125 * i),
  type: 'longrope',
});
const PLAIN_PHI = { sliding_window: null };

const CASES: readonly Case[] = [
  { modelType: 'qwen2', name: 'biases on q, k and v, a tied head', config: {} },
  { modelType: 'qwen2', name: 'an untied head', config: { tie_word_embeddings: false } },
  {
    modelType: 'qwen2',
    name: 'linear frequencies',
    config: { rope_scaling: { rope_type: 'linear', factor: 4 } },
    without: { rope_scaling: null },
  },
  { modelType: 'qwen3', name: 'norms on heads wider than hidden / heads', config: {} },
  { modelType: 'qwen3', name: 'an untied head', config: { tie_word_embeddings: false } },
  { modelType: 'gemma2', name: 'every other block slides', config: GEMMA, without: { ...GEMMA, sliding_window: 256 } },
  {
    modelType: 'gemma2',
    name: 'other caps',
    config: { ...GEMMA, attn_logit_softcapping: 1, final_logit_softcapping: 1.5 },
    without: GEMMA,
  },
  {
    modelType: 'gemma2',
    name: 'two blocks of three slide',
    config: { ...GEMMA, layer_types: ['sliding_attention', 'sliding_attention', 'full_attention'] },
    without: GEMMA,
  },
  {
    modelType: 'gemma2',
    name: 'no block slides',
    config: { ...GEMMA, layer_types: ['full_attention', 'full_attention', 'full_attention'] },
    without: GEMMA,
  },
  {
    modelType: 'gemma3_text',
    name: 'a local base, and every third block looks at everything',
    config: GEMMA,
    without: { ...GEMMA, rope_local_base_freq: 10_000 },
  },
  {
    modelType: 'gemma3_text',
    name: 'linear frequencies where the whole text is seen',
    config: { ...GEMMA, rope_scaling: { factor: 8, rope_type: 'linear' } },
    without: GEMMA,
  },
  {
    modelType: 'gemma3_text',
    name: 'every second block',
    config: { ...GEMMA, sliding_window_pattern: 2 },
    without: GEMMA,
  },
  {
    modelType: 'gemma3_text',
    name: 'the usual period: all three slide',
    config: { ...GEMMA, sliding_window_pattern: 6 },
    without: GEMMA,
  },
  {
    modelType: 'gemma3_text',
    name: 'no block slides',
    config: { ...GEMMA, sliding_window_pattern: 1 },
    without: GEMMA,
  },
  { modelType: 'phi3', name: 'q, k and v in one weight', config: PLAIN_PHI },
  {
    modelType: 'phi3',
    name: 'three quarters of a head turned',
    config: { ...PLAIN_PHI, hidden_size: 64, partial_rotary_factor: 0.75, tie_word_embeddings: true },
    without: { ...PLAIN_PHI, hidden_size: 64, tie_word_embeddings: true },
  },
  {
    modelType: 'phi3',
    // llama.cpp's contexts are multiples of 256, and what it looks at is the context.
    name: 'LongRoPE within the first context',
    config: {
      ...PLAIN_PHI,
      rope_scaling: longRope(4),
      original_max_position_embeddings: 256,
      max_position_embeddings: 1024,
    },
    without: PLAIN_PHI,
  },
  {
    modelType: 'phi3',
    name: 'LongRoPE beyond the first context',
    config: { ...PLAIN_PHI, rope_scaling: longRope(4), original_max_position_embeddings: 16 },
    without: PLAIN_PHI,
  },
  { modelType: 'mixtral', name: 'two of five experts', config: {}, without: { num_experts_per_tok: 1 } },
  { modelType: 'mixtral', name: 'one expert a token', config: { num_experts_per_tok: 1 }, without: {} },
  { modelType: 'gpt2', name: 'weights the other way round', config: {} },
  { modelType: 'gpt2', name: 'an FFN of its own width', config: { n_inner: 50 } },
  { modelType: 'gpt2', name: 'an untied head', config: { tie_word_embeddings: false } },
  { modelType: 'gpt_neox', name: 'q, k and v dealt out', config: {} },
  { modelType: 'gpt_neox', name: 'one half after the other', config: { use_parallel_residual: false }, without: {} },
  { modelType: 'gpt_neox', name: 'every dimension turned', config: { rotary_pct: 1 }, without: {} },
  { modelType: 'gpt_neox', name: 'the tanh gelu', config: { hidden_act: 'gelu_new' } },
];

/** Longer than every window, and within GPT-2's positions. */
const LENGTH = 40;

const modelOf = ({ modelType, config }: Pick<Case, 'modelType' | 'config'>) =>
  fixtureModel(architectureFixtures[modelType]!, config);

function folderOf(model: FixtureModel): string {
  const folder = writeFixture(model);
  writeTokenizer(folder);
  return folder;
}

async function asGguf(model: FixtureModel): Promise<{ readonly file: string; readonly lost: string }> {
  const file = path.join(temporaryFolder(), 'model.gguf');
  const { lost } = await convert({ model: folderOf(model), out: file });
  return { file, lost: lost.join('\n') };
}

describe.skipIf(llamaMissing !== undefined)(
  `in llama.cpp${llamaMissing === undefined ? '' : ` (${llamaMissing})`}`,
  () => {
    it.each(CASES)('$modelType, $name, is computed as its definition says in float64', async (one) => {
      const model = modelOf(one);
      const ids = randomIds(LENGTH, model.config['vocab_size'] as number, 5);
      const expected = likelihoods(one.modelType, model, ids);
      const { file } = await asGguf(model);
      const found = await withLlama(file, (llama) => llama.negativeLogLikelihoods([...ids]));
      // llama.cpp keeps keys and values in F16.
      expect(largestDifference(found, expected)).toBeLessThan(0.03);
      expect(Math.abs(Math.exp(mean(found) - mean(expected)) - 1)).toBeLessThan(0.005);
      if (one.without === undefined) return;
      const config = { ...modelOf({ ...one, config: one.without }).config };
      expect(largestDifference(likelihoods(one.modelType, { ...model, config }, ids), expected)).toBeGreaterThan(0.06);
    });
  },
);

describe('as GGUF and back', () => {
  it.each([...CASES, ...WINDOWED()])('$modelType, $name, is the model that it was', async (one) => {
    const model = modelOf(one);
    const { file } = await asGguf(model);
    const [before, after] = [await openModel(folderOf(model)), await openModel(file)];
    expect(meaning(after.decoder)).toEqual(meaning(before.decoder));
    for (const [found, tensor] of pairedTensors(before.decoder, after.decoder)) {
      const [first, second] = [await before.checkpoint.read(tensor), await after.checkpoint.read(found)];
      // Gains are added to 1 in float32, by the model as by the file.
      const isGain = one.modelType.startsWith('gemma') && tensor.endsWith('norm.weight');
      if (isGain) expect(onePlus(second), tensor).toEqual(onePlus(first));
      else expect(Buffer.compare(first, second), tensor).toBe(0);
    }
    await before.checkpoint.close();
    await after.checkpoint.close();
  });

  it.each(CASES.filter(({ modelType }, i) => CASES.findIndex((other) => other.modelType === modelType) === i))(
    '$modelType is the same GGUF again, byte for byte, by way of a folder',
    async (one) => {
      const root = temporaryFolder();
      const { file } = await asGguf(modelOf(one));
      await convert({ model: file, out: path.join(root, 'model') });
      await convert({ model: path.join(root, 'model'), out: path.join(root, 'again.gguf') });
      const [first, second] = [await openModel(file), await openModel(path.join(root, 'again.gguf'))];
      expect([...second.checkpoint.tensors.values()]).toEqual([...first.checkpoint.tensors.values()]);
      for (const name of first.checkpoint.tensors.keys()) {
        expect(Buffer.compare(await second.checkpoint.read(name), await first.checkpoint.read(name)), name).toBe(0);
      }
      await first.checkpoint.close();
      await second.checkpoint.close();
    },
  );

  it('leaves out what old exporters wrote beside the weights', async () => {
    for (const modelType of ['gpt2', 'gpt_neox']) {
      const fixture = architectureFixtures[modelType]!;
      const { lost } = await asGguf(withLeftovers(fixtureModel(fixture), fixture));
      const [buffer] = fixture.leftovers!(fixture.config);
      expect(lost).toContain(`Tensor ${buffer!.name} is left out`);
    }
  });
});

describe('what llama.cpp would compute otherwise', () => {
  it.each([
    { modelType: 'gemma2', config: {}, says: 'query_pre_attn_scalar is 9' },
    { modelType: 'gemma2', config: { ...GEMMA, attn_logit_softcapping: null }, says: 'no caps' },
    {
      modelType: 'gemma2',
      config: { ...GEMMA, layer_types: ['sliding_attention', 'full_attention', 'full_attention'] },
      says: 'in the blocks 0',
    },
    { modelType: 'gemma2', config: { ...GEMMA, tie_word_embeddings: false }, says: '"lm_head.weight"' },
    { modelType: 'gemma3_text', config: { ...GEMMA, final_logit_softcapping: 2 }, says: 'final_logit_softcapping' },
    { modelType: 'gemma3_text', config: { ...GEMMA, attn_logit_softcapping: 2 }, says: 'attn_logit_softcapping' },
    { modelType: 'qwen3', config: { attention_bias: true }, says: '"model.layers.0.self_attn.q_proj.bias"' },
    { modelType: 'qwen2', config: { head_dim: 12 }, says: 'as wide as the residual stream, 40' },
    {
      modelType: 'qwen2',
      config: {
        rope_scaling: {
          rope_type: 'llama3',
          factor: 8,
          low_freq_factor: 1,
          high_freq_factor: 4,
          original_max_position_embeddings: 32,
        },
      },
      says: 'no llama3 scaling',
    },
    { modelType: 'gpt2', config: { scale_attn_weights: false }, says: 'scale_attn_weights' },
    { modelType: 'gpt2', config: { scale_attn_by_inverse_layer_idx: true }, says: 'scale_attn_by_inverse_layer_idx' },
    { modelType: 'gpt_neox', config: { attention_bias: false }, says: 'attention_bias' },
    { modelType: 'gpt_neox', config: { tie_word_embeddings: true }, says: 'a head of its own' },
  ])('is refused by name: $modelType, $says', async ({ modelType, config, says }) => {
    const refused = asGguf(modelOf({ modelType, config }));
    await expect(refused).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining(says) });
  });

  it.each([
    { modelType: 'qwen2', config: { use_sliding_window: true }, says: 'sliding_window 7: llama.cpp' },
    { modelType: 'mixtral', config: { sliding_window: 6 }, says: 'sliding_window 6: llama.cpp' },
    { modelType: 'phi3', config: {}, says: 'sliding_window 7: llama.cpp' },
    {
      modelType: 'phi3',
      config: { ...PLAIN_PHI, rope_scaling: longRope(4), original_max_position_embeddings: 16 },
      says: 'its context is above 16',
    },
    { modelType: 'gpt_neox', config: {}, says: 'gelu by its tanh approximation' },
  ])('is told: $modelType, $says', async ({ modelType, config, says }) => {
    expect((await asGguf(modelOf({ modelType, config }))).lost).toContain(says);
  });

  it.each([
    { modelType: 'gemma2', config: GEMMA },
    { modelType: 'gpt2', config: {} },
    { modelType: 'qwen3', config: {} },
  ])('is nothing: $modelType', async ({ modelType, config }) => {
    expect((await asGguf(modelOf({ modelType, config }))).lost).not.toContain('llama.cpp');
  });
});

/** Windows that llama.cpp does not heed, and that lead back to config.json all the same. */
function WINDOWED(): Case[] {
  return [
    { modelType: 'qwen2', name: 'a window from block 1 on', config: { use_sliding_window: true } },
    {
      modelType: 'qwen3',
      name: 'a window on block 1',
      config: { use_sliding_window: true, sliding_window: 6, max_window_layers: 1 },
    },
    { modelType: 'phi3', name: 'a window', config: {} },
    { modelType: 'mixtral', name: 'a window', config: { sliding_window: 6 } },
  ];
}

/** What a decoder computes: its numbers, without the ids that come with the tokenizer and the names that two spellings have. */
function meaning({ bosTokenId: _, eosTokenIds: __, embedding, positions, finalNorm, head, ...rest }: Decoder) {
  const { blocks, finalNormBias: ___, ropeTheta, normEpsilon, slidingWindow, ...numbers } = rest;
  const window = (one: number | undefined) => Math.min(one ?? numbers.maxContext, numbers.maxContext);
  return rounded({
    ...numbers,
    theta: ropeTheta,
    epsilon: normEpsilon,
    window: window(slidingWindow),
    blocks: blocks.map(({ linears, vectors, slidingWindow: own, attentionScale, ...block }) => ({
      ...block,
      window: window(own),
      linears: linears.map(({ weight: _weight, bias, ...linear }) => ({ ...linear, bias: bias !== undefined })),
      vectors: vectors.map(({ kind, axis }) => ({ kind, axis })),
    })),
    ends: [embedding, positions, finalNorm, head].map((name) => name?.replace(/^transformer\./, '')),
  });
}

/** Numbers to the precision of a float32. */
function rounded(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, one: unknown) => (typeof one === 'number' ? Math.fround(one) : one)));
}

/** Tensors of two decoders that mean the same, under both names. */
function pairedTensors(before: Decoder, after: Decoder): [string, string][] {
  const [first, second] = [before, after].map(({ embedding, positions, finalNorm, finalNormBias, head, blocks }) =>
    [
      ...[embedding, positions, finalNorm, finalNormBias, head],
      ...blocks.flatMap(({ linears, vectors }) => [
        ...linears.flatMap(({ weight, bias }) => [weight, bias]),
        ...vectors.map(({ tensor }) => tensor),
      ]),
    ].filter((name) => name !== undefined),
  ) as [string[], string[]];
  expect(second.length).toBe(first.length);
  return second.map((name, i) => [name, first[i]!]);
}

function onePlus(bytes: Uint8Array): number[] {
  return Array.from(decodeToF32(bytes, 'F32'), (value) => Math.fround(1 + value));
}

function likelihoods(modelType: string, model: FixtureModel, ids: Int32Array): number[] {
  const logits = referenceForwards[modelType]!(model, ids);
  return Array.from(ids.subarray(1), (id, t) => {
    const row = Float32Array.from(logits[t]!);
    return negativeLogLikelihood(row, 0, row.length, id);
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function largestDifference(values: readonly number[], expected: readonly number[]): number {
  expect(values.length).toBe(expected.length);
  return expected.reduce((largest, value, i) => Math.max(largest, Math.abs(value - values[i]!)), 0);
}
