import { describe, expect, it } from 'vitest';
import { describeModel } from '../../src/model/index.js';
import { TINY_LLAMA, tinyModel } from '../reference/tiny-model.js';
import { checkpointOf } from './checkpoint-of.js';

const checkpoint = checkpointOf(tinyModel(TINY_LLAMA).tensors);
const described = (difference: Record<string, unknown>) =>
  describeModel(checkpoint, JSON.parse(JSON.stringify({ ...TINY_LLAMA, ...difference })));
const MISTRAL = { model_type: 'mistral', architectures: ['MistralForCausalLM'], sliding_window: 8 };

/** What is asked for, the key that the refusal must name, and what it must say is allowed. */
const UNSUPPORTED: readonly [Record<string, unknown>, string, string][] = [
  [{ model_type: 'bloom' }, '"bloom"', 'llama, mistral'],
  [{ model_type: 'deepseek_v3', n_routed_experts: 8 }, '"deepseek_v3"', 'llama, mistral'],
  [{ model_type: undefined }, 'model_type', 'llama, mistral'],
  [{ architectures: ['LlamaForSequenceClassification'] }, 'architectures', 'LlamaForCausalLM'],
  [{ architectures: ['MistralForCausalLM'] }, 'architectures', 'LlamaForCausalLM'],
  [{ hidden_act: 'gelu' }, 'hidden_act', '"silu"'],
  [{ rope_scaling: { type: 'dynamic', factor: 2 } }, 'rope_scaling.rope_type', '"default", "linear", "llama3"'],
  [{ rope_scaling: { rope_type: 'yarn', factor: 4 } }, 'rope_scaling.rope_type', '"linear"'],
  [{ rope_scaling: { rope_type: 'longrope', factor: 4 } }, 'rope_scaling.rope_type', '"linear"'],
  [{ rope_scaling: { rope_type: 'constructor' } }, 'rope_scaling.rope_type', '"linear"'],
  [
    { rope_scaling: { rope_type: 'linear', factor: 2, attention_factor: 1.2 } },
    'rope_scaling.attention_factor',
    'absent',
  ],
  [
    { rope_theta: undefined, rope_parameters: { full_attention: { rope_theta: 1 } } },
    'rope_parameters.full_attention',
    'absent',
  ],
  [
    { rope_theta: undefined, rope_parameters: { rope_theta: 1e4, partial_rotary_factor: 0.5 } },
    'partial_rotary_factor',
    '1',
  ],
  [{ partial_rotary_factor: 0.5 }, 'partial_rotary_factor', '1'],
  [{ quantization_config: { quant_method: 'gptq' } }, 'quantization_config', 'absent'],
  [{ attn_logit_softcapping: 50 }, 'attn_logit_softcapping', 'absent'],
  [{ final_logit_softcapping: 30 }, 'final_logit_softcapping', 'absent'],
  [{ num_local_experts: 8 }, 'num_local_experts', 'absent'],
  [{ auto_map: { AutoModel: 'modeling.Mine' } }, 'auto_map', 'absent'],
  [{ is_encoder_decoder: true }, 'is_encoder_decoder', 'false'],
  [{ sliding_window: 16 }, 'sliding_window', 'absent'],
  [{ layer_types: ['full_attention', 'sliding_attention'] }, 'layer_types', 'full_attention for every layer'],
  [{ ...MISTRAL, layer_types: ['full_attention', 'sliding_attention'] }, 'layer_types', 'sliding_attention for every'],
  [{ ...MISTRAL, attention_bias: true }, 'attention_bias', 'false'],
  [{ ...MISTRAL, mlp_bias: true }, 'mlp_bias', 'false'],
  [{ embedding_multiplier: 12 }, '"embedding_multiplier"', 'does not know'],
  [{ ['k'.repeat(9999)]: 'v'.repeat(9999) }, 'kkk...', 'does not know'],
];

describe('a config that asks for something that is not run is refused by name', () => {
  it.each(UNSUPPORTED)('%j', async (difference, key, allowed) => {
    const refused = described(difference);
    await expect(refused).rejects.toMatchObject({ code: 'unsupported', exitCode: 3 });
    await expect(refused).rejects.toThrow(key);
    await expect(refused).rejects.toThrow(allowed);
    await refused.catch((error: Error) => expect(error.message.length).toBeLessThan(500));
  });
});

describe('a config that says the usual in other words is run', () => {
  it.each([
    { rope_scaling: { rope_type: 'default' } },
    { rope_theta: undefined, rope_parameters: { rope_type: 'default', rope_theta: 10_000 } },
    { rope_scaling: {} },
    { partial_rotary_factor: 1.0, attn_logit_softcapping: null, quantization_config: null },
    { layer_types: ['full_attention', 'full_attention'] },
    { sliding_window: null, pruned_heads: {}, is_encoder_decoder: false },
    { something_new: null },
    { torch_dtype: 'bfloat16', use_cache: true, _name_or_path: '/somewhere', pretraining_tp: 1, architectures: null },
  ])('%j', async (difference) => {
    expect(await described(difference)).toMatchObject({ ropeScaling: { kind: 'none' }, ropeTheta: 10_000 });
  });
});

describe('a malformed config is refused at the border', () => {
  const huge = 1e300;
  it.each<[Record<string, unknown>, string]>([
    [{ hidden_size: '32' }, 'hidden_size'],
    [{ hidden_size: undefined }, 'hidden_size'],
    [{ hidden_size: 0 }, 'hidden_size'],
    [{ hidden_size: 32.5 }, 'hidden_size'],
    [{ hidden_size: huge }, 'hidden_size'],
    [{ num_hidden_layers: 1e9 }, 'num_hidden_layers'],
    [{ num_hidden_layers: -1 }, 'num_hidden_layers'],
    [{ vocab_size: 2 ** 40 }, 'vocab_size'],
    [{ intermediate_size: null }, 'intermediate_size'],
    [{ num_attention_heads: 5 }, 'num_attention_heads'],
    [{ num_attention_heads: 6, num_key_value_heads: 4 }, 'num_key_value_heads'],
    [{ head_dim: 7 }, 'head_dim'],
    [{ rms_norm_eps: 0 }, 'rms_norm_eps'],
    [{ rms_norm_eps: '1e-5' }, 'rms_norm_eps'],
    [{ rope_theta: -1 }, 'rope_theta'],
    [{ rope_scaling: 'linear' }, 'rope_scaling'],
    [{ rope_scaling: { type: 'linear' } }, 'factor'],
    [{ rope_scaling: { factor: 2 } }, 'rope_type'],
    [{ rope_scaling: { type: 'linear', factor: 0.5 } }, 'factor'],
    [{ rope_scaling: { type: 'linear', rope_type: 'llama3', factor: 2 } }, 'rope_type'],
    [{ rope_scaling: { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 } }, 'original_max'],
    [
      {
        rope_scaling: {
          rope_type: 'llama3',
          factor: 8,
          low_freq_factor: 4,
          high_freq_factor: 4,
          original_max_position_embeddings: 32,
        },
      },
      'high_freq_factor',
    ],
    [{ rope_scaling: { type: 'linear', factor: 2 }, rope_parameters: { rope_type: 'default' } }, 'rope_parameters'],
    [{ rope_parameters: { rope_theta: 5 } }, 'rope_theta'],
    [{ eos_token_id: 'two' }, 'eos_token_id'],
    [{ bos_token_id: -1 }, 'bos_token_id'],
    [{ tie_word_embeddings: 'yes' }, 'tie_word_embeddings'],
    [{ attention_bias: 1 }, 'attention_bias'],
    [{ ...MISTRAL, sliding_window: 0 }, 'sliding_window'],
    [{ architectures: 'LlamaForCausalLM' }, 'architectures'],
  ])('%j', async (difference, key) => {
    const refused = described(difference);
    await expect(refused).rejects.toMatchObject({ code: 'unreadable' });
    await expect(refused).rejects.toThrow(key);
  });
});
