import type { Architecture } from '../architecture.js';
import type { ConfigValues } from '../config-schema.js';
import { LLAMA_KEYS, LLAMA_LEFTOVERS, LLAMA_TENSORS, LLAMA_VECTORS, llamaLinears } from './llama.js';

/** What Qwen's configs say of windows. `sliding_window` counts only where `use_sliding_window` is set, from a block on. */
export const QWEN_WINDOW_KEYS = ['sliding_window', 'use_sliding_window', 'max_window_layers'] as const;

export const QWEN_WINDOW_DEFAULTS = { sliding_window: 4096, use_sliding_window: false, max_window_layers: 28 } as const;

export function slidesFromBlock({ max_window_layers: first }: ConfigValues, block: number): boolean {
  return block >= (first ?? QWEN_WINDOW_DEFAULTS.max_window_layers);
}

/**
 * Qwen2 and 2.5: Llama's block with biases on q, k and v. Source: transformers,
 * models/qwen2/{configuration,modeling}_qwen2.py.
 */
export default {
  modelType: 'qwen2',
  className: 'Qwen2ForCausalLM',
  keys: [...LLAMA_KEYS, ...QWEN_WINDOW_KEYS],
  allowed: { use_mrope: [false] },
  activations: ['silu'],
  defaults: {
    max_position_embeddings: 32_768,
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    num_key_value_heads: 32,
    ...QWEN_WINDOW_DEFAULTS,
  },
  norm: 'rms',
  tensors: LLAMA_TENSORS,
  linears: llamaLinears({ qkv: true }),
  vectors: LLAMA_VECTORS,
  leftovers: LLAMA_LEFTOVERS,
  slides: slidesFromBlock,
  readsLayerTypes: true,
} satisfies Architecture;
