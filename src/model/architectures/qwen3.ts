import type { Architecture } from '../architecture.js';
import { LLAMA_KEYS, LLAMA_TENSORS, LLAMA_VECTORS, llamaLinears } from './llama.js';
import { QWEN_WINDOW_DEFAULTS, QWEN_WINDOW_KEYS, slidesFromBlock } from './qwen2.js';

/** RMSNorms as wide as one head, over each head of q and of k before they are turned. */
export const HEAD_NORMS: Architecture['vectors'] = [
  { kind: 'q-norm', tensor: 'model.layers.{i}.self_attn.q_norm.weight', axis: 'head-dim' },
  { kind: 'k-norm', tensor: 'model.layers.{i}.self_attn.k_norm.weight', axis: 'head-dim' },
];

/**
 * Qwen3 (dense): norms on the heads of q and k instead of Qwen2's biases, and heads of their own size. Source: transformers,
 * models/qwen3/{configuration,modeling}_qwen3.py.
 */
export default {
  modelType: 'qwen3',
  className: 'Qwen3ForCausalLM',
  keys: [...LLAMA_KEYS, ...QWEN_WINDOW_KEYS, 'attention_bias'],
  activations: ['silu'],
  defaults: {
    max_position_embeddings: 32_768,
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    num_key_value_heads: 32,
    head_dim: 128,
    ...QWEN_WINDOW_DEFAULTS,
  },
  norm: 'rms',
  tensors: LLAMA_TENSORS,
  linears: llamaLinears({ qkv: 'attention_bias', o: 'attention_bias' }),
  vectors: [...LLAMA_VECTORS, ...HEAD_NORMS],
  leftovers: [],
  slides: slidesFromBlock,
  readsLayerTypes: true,
} satisfies Architecture;
