import type { Architecture, DecoderNumbers } from '../architecture.js';
import type { ConfigValues } from '../config-schema.js';
import { LLAMA_KEYS, LLAMA_TENSORS, llamaLinears } from './llama.js';

/** Keys that Gemma 2 and 3 read beside Llama's. */
export const GEMMA_KEYS = [
  'attention_bias',
  'sliding_window',
  'query_pre_attn_scalar',
  'attn_logit_softcapping',
  'final_logit_softcapping',
] as const satisfies Architecture['keys'];

/** Norms before each half of a block, and on what it gives before that is added. */
export const GEMMA_VECTORS: Architecture['vectors'] = [
  { kind: 'attention-norm', tensor: 'model.layers.{i}.input_layernorm.weight', axis: 'hidden' },
  { kind: 'post-attention-norm', tensor: 'model.layers.{i}.post_attention_layernorm.weight', axis: 'hidden' },
  { kind: 'ffn-norm', tensor: 'model.layers.{i}.pre_feedforward_layernorm.weight', axis: 'hidden' },
  { kind: 'post-ffn-norm', tensor: 'model.layers.{i}.post_feedforward_layernorm.weight', axis: 'hidden' },
];

/** Embeddings times √hidden, scores scaled by a number of the config and, where it says so, capped, the logits too. */
export function gemmaNumbers(config: ConfigValues): Partial<DecoderNumbers> {
  const { attn_logit_softcapping: attentionSoftcap, final_logit_softcapping: finalSoftcap } = config;
  return {
    embeddingScale: Math.sqrt(config.hidden_size),
    attentionScale: (config.query_pre_attn_scalar ?? 256) ** -0.5,
    ...(attentionSoftcap != null && { attentionSoftcap }),
    ...(finalSoftcap != null && { finalSoftcap }),
  };
}

/**
 * Gemma 2: gains stored as w for 1 + w, sandwich norms, caps, and every other block, the first among them, slides a window.
 * Source: transformers, models/gemma2/{configuration,modeling}_gemma2.py.
 */
export default {
  modelType: 'gemma2',
  className: 'Gemma2ForCausalLM',
  keys: [...LLAMA_KEYS, ...GEMMA_KEYS],
  spellings: { hidden_act: 'hidden_activation' },
  // Gemma 2's code reads hidden_activation alone.
  harmless: ['hidden_act'],
  allowed: { use_bidirectional_attention: [false] },
  activations: ['gelu_pytorch_tanh'],
  defaults: {
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    num_key_value_heads: 4,
    head_dim: 256,
    sliding_window: 4096,
    query_pre_attn_scalar: 256,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    tie_word_embeddings: true,
  },
  norm: 'rms-plus-one',
  tensors: LLAMA_TENSORS,
  linears: llamaLinears({ qkv: 'attention_bias', o: 'attention_bias' }),
  vectors: GEMMA_VECTORS,
  leftovers: [],
  slides: (_, block) => block % 2 === 0,
  readsLayerTypes: true,
  numbers: gemmaNumbers,
} satisfies Architecture;
