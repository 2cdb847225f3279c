import type { Architecture } from '../architecture.js';
import { GEMMA_KEYS, GEMMA_VECTORS, gemmaNumbers } from './gemma2.js';
import { LLAMA_KEYS, LLAMA_TENSORS, llamaLinears } from './llama.js';
import { HEAD_NORMS } from './qwen3.js';

/** Of so many blocks one attends to everything, the last of them. */
const USUAL_PATTERN = 6;

/**
 * Gemma 3, text alone: Gemma 2 with norms on the heads of q and k instead of caps, and two rotary bases: one for the blocks
 * that slide a window, one (with `rope_scaling`) for those that attend to everything. Source: transformers,
 * models/gemma3/{configuration,modeling}_gemma3.py.
 */
export default {
  modelType: 'gemma3_text',
  className: 'Gemma3ForCausalLM',
  keys: [...LLAMA_KEYS, ...GEMMA_KEYS, 'rope_local_base_freq', 'sliding_window_pattern'],
  spellings: { hidden_act: 'hidden_activation' },
  harmless: ['hidden_act'],
  allowed: { use_bidirectional_attention: [false] },
  activations: ['gelu_pytorch_tanh'],
  defaults: {
    max_position_embeddings: 131_072,
    rms_norm_eps: 1e-6,
    rope_theta: 1_000_000,
    rope_local_base_freq: 10_000,
    num_key_value_heads: 4,
    head_dim: 256,
    sliding_window: 4096,
    sliding_window_pattern: USUAL_PATTERN,
    query_pre_attn_scalar: 256,
    tie_word_embeddings: true,
  },
  norm: 'rms-plus-one',
  tensors: LLAMA_TENSORS,
  linears: llamaLinears({ qkv: 'attention_bias', o: 'attention_bias' }),
  vectors: [...GEMMA_VECTORS, ...HEAD_NORMS],
  leftovers: [],
  slides: ({ sliding_window_pattern: pattern }, block) => (block + 1) % (pattern ?? USUAL_PATTERN) !== 0,
  readsLayerTypes: true,
  numbers: gemmaNumbers,
} satisfies Architecture;
