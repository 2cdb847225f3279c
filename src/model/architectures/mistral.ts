import type { Architecture } from '../architecture.js';
import { LLAMA_KEYS, LLAMA_LEFTOVERS, LLAMA_TENSORS, LLAMA_VECTORS, llamaLinears } from './llama.js';

/**
 * Mistral 7B and its kin: Llama's block and names, no biases, and a window that attention slides over the text.
 * Source: transformers, models/mistral/{configuration,modeling}_mistral.py (the defaults too: a config without
 * `sliding_window` slides 4096, one with `null` does not slide).
 */
export default {
  modelType: 'mistral',
  className: 'MistralForCausalLM',
  keys: [...LLAMA_KEYS, 'sliding_window'],
  activations: ['silu'],
  defaults: {
    max_position_embeddings: 131_072,
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    sliding_window: 4096,
    num_key_value_heads: 8,
  },
  norm: 'rms',
  tensors: LLAMA_TENSORS,
  linears: llamaLinears({}),
  vectors: LLAMA_VECTORS,
  leftovers: LLAMA_LEFTOVERS,
  slides: () => true,
} satisfies Architecture;
