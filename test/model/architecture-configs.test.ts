import { describe, expect, it } from 'vitest';
import { type BlockSpec, type Decoder, describeModel } from '../../src/model/index.js';
import { architectureFixtures, type ConfigKeys, fixtureModel } from '../fixtures/architectures/index.js';
import { checkpointOf } from './checkpoint-of.js';

/** What a family's fixture means under another config; the tensors are those of `tensorsOf`. */
function described(modelType: string, difference: ConfigKeys, tensorsOf: ConfigKeys = {}): Promise<Decoder> {
  const fixture = architectureFixtures[modelType]!;
  const { tensors } = fixtureModel(fixture, tensorsOf);
  const config = { ...fixture.config, ...difference };
  return describeModel(checkpointOf(tensors), JSON.parse(JSON.stringify(config)));
}

const windows = ({ blocks }: Decoder) => blocks.map(({ slidingWindow }) => slidingWindow ?? null);

describe('which blocks slide a window', () => {
  it.each<[string, ConfigKeys, (number | null)[]]>([
    ['qwen2', {}, [null, null, null]],
    ['qwen2', { use_sliding_window: true }, [null, 7, 7]],
    ['qwen2', { use_sliding_window: true, max_window_layers: 0 }, [7, 7, 7]],
    ['qwen2', { use_sliding_window: true, max_window_layers: undefined }, [null, null, null]],
    ['qwen2', { use_sliding_window: true, sliding_window: undefined, max_window_layers: 2 }, [null, null, 4096]],
    ['gemma2', {}, [6, null, 6]],
    ['gemma2', { sliding_window: undefined }, [4096, null, 4096]],
    ['gemma2', { layer_types: ['full_attention', 'full_attention', 'sliding_attention'] }, [null, null, 6]],
    ['gemma3_text', {}, [6, 6, null]],
    ['gemma3_text', { sliding_window_pattern: undefined }, [6, 6, 6]],
    ['phi3', {}, [7, 7]],
    ['phi3', { sliding_window: undefined }, [null, null]],
  ])('%s with %j', async (modelType, difference, expected) => {
    expect(windows(await described(modelType, difference))).toEqual(expected);
  });

  it('turns queries and keys by two bases where the family has two', async () => {
    const thetas = (decoder: Decoder) => decoder.blocks.map(({ rope }) => rope!.theta);
    expect(thetas(await described('gemma3_text', {}))).toEqual([100, 100, 10_000]);
    const absent = { rope_theta: undefined, rope_local_base_freq: undefined };
    expect(thetas(await described('gemma3_text', absent))).toEqual([10_000, 10_000, 1_000_000]);
    const scaled = await described('gemma3_text', { rope_scaling: { rope_type: 'linear', factor: 8 } });
    expect(scaled.blocks.map(({ rope }) => rope!.scaling.kind)).toEqual(['none', 'none', 'linear']);
  });
});

describe('what a config leaves out', () => {
  it("takes Gemma 2's caps, scale and tied head", async () => {
    const keys = ['attn_logit_softcapping', 'final_logit_softcapping', 'query_pre_attn_scalar', 'tie_word_embeddings'];
    const decoder = await described('gemma2', Object.fromEntries(keys.map((key) => [key, undefined])));
    expect(decoder).toMatchObject({ attentionSoftcap: 50, finalSoftcap: 30, attentionScale: 1 / 16, tied: true });
    expect(decoder.embeddingScale).toBe(Math.sqrt(40));
  });

  it('takes a null as no cap', async () => {
    const decoder = await described('gemma2', { attn_logit_softcapping: null, final_logit_softcapping: null });
    expect('attentionSoftcap' in decoder || 'finalSoftcap' in decoder).toBe(false);
  });

  it("takes Qwen3's heads of 128", async () => {
    const wide = { head_dim: 128 };
    expect((await described('qwen3', { head_dim: undefined }, wide)).headDim).toBe(128);
  });

  it("takes Phi-3's context and epsilon", async () => {
    const decoder = await described('phi3', { max_position_embeddings: undefined, rms_norm_eps: undefined });
    expect(decoder).toMatchObject({ maxContext: 4096, normEpsilon: 1e-5 });
  });
});

describe('fused weights', () => {
  const segmentsOf = ({ linears }: BlockSpec, role: string) =>
    linears.find((linear) => linear.role === role)!.segments!.map(({ role: part, start, rows }) => [part, start, rows]);

  it('Phi-3 has q, k, v and gate, up one after the other', async () => {
    const [block] = (await described('phi3', {})).blocks;
    expect(segmentsOf(block!, 'qkv')).toEqual([
      ['q', 0, 32],
      ['k', 32, 16],
      ['v', 48, 16],
    ]);
    expect(segmentsOf(block!, 'gate-up')).toEqual([
      ['gate', 0, 44],
      ['up', 44, 44],
    ]);
  });

  it('LongRoPE has its factors and what cosines grow by', async () => {
    const long = { rope_scaling: { type: 'longrope', short_factor: [1, 1, 1, 1], long_factor: [1, 2, 3, 4] } };
    const { blocks } = await described('phi3', { ...long, original_max_position_embeddings: 64 });
    // √(1 + ln(256 / 64) / ln 64) = √(4/3).
    expect(blocks[0]!.rope!.scaling).toEqual({
      kind: 'longrope',
      shortFactors: [1, 1, 1, 1],
      longFactors: [1, 2, 3, 4],
      originalContext: 64,
      amplitude: expect.closeTo(Math.sqrt(4 / 3), 12),
    });
  });
});

describe('DeciLM', () => {
  const blocks = architectureFixtures['nemotron-nas']!.config['block_configs'] as {
    attention: ConfigKeys;
    ffn: ConfigKeys;
  }[];
  const withFirst = (attention: ConfigKeys, ffn: ConfigKeys = {}) => {
    const [first, ...others] = blocks;
    const changed = { attention: { ...first!.attention, ...attention }, ffn: { ...first!.ffn, ...ffn } };
    return { block_configs: [changed, ...others] };
  };

  it('has blocks with sizes of their own, and without a half', async () => {
    const decoder = await described('nemotron-nas', {});
    expect(decoder.blocks.map(({ heads, kvHeads, ffn }) => [heads, kvHeads, ffn])).toEqual([
      [4, 2, 44],
      [0, 0, 20],
      [4, 1, 0],
    ]);
    expect(decoder.blocks.map(({ attention, feedForward }) => [attention, feedForward])).toEqual([
      [true, true],
      [false, true],
      [true, false],
    ]);
    expect(decoder.blocks[1]!.vectors.map(({ kind }) => kind)).toEqual(['ffn-norm']);
    expect(decoder).toMatchObject({ heads: 4, kvHeads: 2, ffn: 44 });
  });

  it.each<[ConfigKeys, string, string]>([
    [withFirst({ replace_with_linear: true }), 'unsupported', 'block_configs[0].attention.replace_with_linear'],
    [withFirst({}, { replace_with_linear: true }), 'unsupported', 'block_configs[0].ffn.replace_with_linear'],
    [withFirst({ window_length: 64 }), 'unsupported', 'window_length'],
    [withFirst({ num_sink_tokens: 4 }), 'unsupported', 'num_sink_tokens'],
    [withFirst({}, { sparsify: ['2:4'] }), 'unsupported', 'sparsify'],
    [withFirst({ something_new: 'x' }), 'unsupported', 'something_new'],
    [withFirst({ n_heads_in_group: 3 }), 'unreadable', 'n_heads_in_group'],
    [withFirst({ n_heads_in_group: null }), 'unreadable', 'n_heads_in_group'],
    [withFirst({ n_heads_in_group: 0 }), 'unreadable', 'block_configs'],
    [withFirst({}, { intermediate_size: null }), 'unreadable', 'neither intermediate_size nor ffn_mult'],
    [withFirst({}, { intermediate_size: 2 ** 40 }), 'unreadable', 'block_configs'],
    [withFirst({}, { ffn_mult: -1 }), 'unreadable', 'block_configs'],
    [{ block_configs: blocks.slice(1) }, 'unreadable', '2 entries for 3 layers'],
    [{ block_configs: undefined }, 'unreadable', '0 entries for 3 layers'],
    [{ block_configs: 'all' }, 'unreadable', 'block_configs'],
  ])('refuses %j', async (difference, code, message) => {
    const refused = described('nemotron-nas', difference);
    await expect(refused).rejects.toMatchObject({ code });
    await expect(refused).rejects.toThrow(message);
  });
});

describe('a config that asks for something that is not run is refused by name', () => {
  it.each<[string, ConfigKeys, string]>([
    ['qwen2', { use_mrope: true }, 'use_mrope'],
    ['qwen2', { rope_scaling: { type: 'yarn', factor: 4, original_max_position_embeddings: 64 } }, 'rope_type'],
    ['qwen2', { layer_types: Array(3).fill('linear_attention') }, 'linear_attention'],
    ['qwen3', { hidden_act: 'gelu' }, 'hidden_act'],
    ['qwen3', { rope_local_base_freq: 10_000 }, 'rope_local_base_freq'],
    ['gemma2', { hidden_activation: 'gelu' }, 'hidden_activation'],
    ['gemma2', { use_bidirectional_attention: true }, 'use_bidirectional_attention'],
    ['gemma3_text', { layer_types: Array(3).fill('chunked_attention') }, 'chunked_attention'],
    ['phi3', { rope_scaling: { type: 'su', short_factor: [1], long_factor: [1] } }, 'rope_scaling.rope_type'],
    ['phi3', { rope_scaling: { type: 'linear', factor: 2 } }, '"longrope"'],
    ['phi3', { layer_types: ['full_attention', 'sliding_attention'] }, 'sliding_attention for every layer'],
  ])('%s with %j', async (modelType, difference, key) => {
    const refused = described(modelType, difference);
    await expect(refused).rejects.toMatchObject({ code: 'unsupported' });
    await expect(refused).rejects.toThrow(key);
  });
});

describe('a config that contradicts itself is refused', () => {
  it.each<[string, ConfigKeys, string]>([
    ['qwen2', { layer_types: ['full_attention'] }, '1 entries for 3 layers'],
    ['qwen2', { layer_types: Array(3).fill('sliding_attention') }, 'there is no sliding_window'],
    ['phi3', { partial_rotary_factor: 0.1 }, 'even head_dim'],
    ['phi3', { partial_rotary_factor: 0 }, 'partial_rotary_factor'],
    ['phi3', { rope_scaling: { type: 'longrope', short_factor: [1, 1, 1, 1] } }, 'needs long_factor'],
    ['phi3', { rope_scaling: { type: 'longrope', short_factor: [1], long_factor: [1] } }, '1 factors for 4 pairs'],
    ['phi3', { rope_scaling: { type: 'longrope', short_factor: [0], long_factor: [1] } }, 'rope_scaling'],
    ['gemma2', { query_pre_attn_scalar: 0 }, 'query_pre_attn_scalar'],
    ['gemma2', { final_logit_softcapping: -1 }, 'final_logit_softcapping'],
    ['gpt2', { n_head: 5 }, 'n_embd (36) must be a multiple of n_head (5)'],
    ['gpt2', { n_layer: 0 }, 'n_layer'],
  ])('%s with %j', async (modelType, difference, message) => {
    const refused = described(modelType, difference);
    await expect(refused).rejects.toMatchObject({ code: 'unreadable' });
    await expect(refused).rejects.toThrow(message);
  });
});
