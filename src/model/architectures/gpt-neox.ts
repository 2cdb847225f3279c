import type { Architecture } from '../architecture.js';
import type { BlockShape, LinearSegment } from '../decoder.js';

/** q, k and v of the first head, then those of the second, and so on. */
function segments({ heads, headDim }: BlockShape): LinearSegment[] {
  return Array.from({ length: heads }, (_, head) =>
    (['q', 'k', 'v'] as const).map((role, i) => ({ role, start: (3 * head + i) * headDim, rows: headDim })),
  ).flat();
}

/**
 * GPT-NeoX-20B, Pythia and their kin: q, k and v dealt out head by head in one weight, the first quarter of each head turned,
 * attention and FFN side by side on the block's input, LayerNorm and biases throughout, a head of its own. Source: transformers,
 * models/gpt_neox/{configuration,modeling}_gpt_neox.py (the defaults too).
 */
export default {
  modelType: 'gpt_neox',
  className: 'GPTNeoXForCausalLM',
  keys: [
    'attention_bias',
    'partial_rotary_factor',
    'rope_theta',
    'rope_scaling',
    'rope_parameters',
    'use_parallel_residual',
  ],
  spellings: {
    partial_rotary_factor: 'rotary_pct',
    rope_theta: 'rotary_emb_base',
    rms_norm_eps: 'layer_norm_eps',
  },
  harmless: ['classifier_dropout'],
  activations: ['gelu', 'gelu_new', 'gelu_fast', 'gelu_pytorch_tanh'],
  defaults: {
    max_position_embeddings: 2048,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    partial_rotary_factor: 0.25,
    attention_bias: true,
    use_parallel_residual: true,
  },
  norm: 'layer',
  tensors: {
    embedding: 'gpt_neox.embed_in.weight',
    finalNorm: 'gpt_neox.final_layer_norm.weight',
    finalNormBias: 'gpt_neox.final_layer_norm.bias',
    head: 'embed_out.weight',
  },
  linears: [
    { role: 'qkv', name: 'gpt_neox.layers.{i}.attention.query_key_value', bias: 'attention_bias', segments },
    { role: 'o', name: 'gpt_neox.layers.{i}.attention.dense', bias: 'attention_bias' },
    { role: 'up', name: 'gpt_neox.layers.{i}.mlp.dense_h_to_4h', bias: true },
    { role: 'down', name: 'gpt_neox.layers.{i}.mlp.dense_4h_to_h', bias: true },
  ],
  vectors: [
    { kind: 'attention-norm', tensor: 'gpt_neox.layers.{i}.input_layernorm.weight', axis: 'hidden' },
    { kind: 'attention-norm-bias', tensor: 'gpt_neox.layers.{i}.input_layernorm.bias', axis: 'hidden' },
    { kind: 'ffn-norm', tensor: 'gpt_neox.layers.{i}.post_attention_layernorm.weight', axis: 'hidden' },
    { kind: 'ffn-norm-bias', tensor: 'gpt_neox.layers.{i}.post_attention_layernorm.bias', axis: 'hidden' },
  ],
  // The causal mask, what it masks with, and the rotary frequencies, which follow from the config.
  leftovers: [/^gpt_neox\.layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/],
  numbers: ({ use_parallel_residual }) => ({ parallelResidual: use_parallel_residual ?? true }),
} satisfies Architecture;
