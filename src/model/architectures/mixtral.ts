import type { Architecture } from '../architecture.js';
import { disagreement } from '../config-errors.js';
import { LLAMA_KEYS, LLAMA_LEFTOVERS, LLAMA_TENSORS, LLAMA_VECTORS, llamaLinears } from './llama.js';

const EXPERT = 'model.layers.{i}.block_sparse_moe.experts.{e}';

/**
 * Mixtral: Mistral's attention; each token's FFN is a mix of the few experts (`num_experts_per_tok` of `num_local_experts`) that a
 * router finds likeliest for it. Source: transformers, models/mixtral/{configuration,modeling}_mixtral.py (the defaults too).
 */
export default {
  modelType: 'mixtral',
  className: 'MixtralForCausalLM',
  keys: [...LLAMA_KEYS, 'sliding_window', 'num_local_experts', 'num_experts_per_tok'],
  // The router's loss and its noise are for training.
  harmless: ['output_router_logits', 'router_aux_loss_coef', 'router_jitter_noise'],
  activations: ['silu'],
  defaults: {
    max_position_embeddings: 131_072,
    rms_norm_eps: 1e-5,
    rope_theta: 1_000_000,
    num_key_value_heads: 8,
    num_local_experts: 8,
    num_experts_per_tok: 2,
  },
  norm: 'rms',
  tensors: LLAMA_TENSORS,
  linears: [
    ...llamaLinears({}).filter(({ role }) => ['q', 'k', 'v', 'o'].includes(role)),
    { role: 'router', name: 'model.layers.{i}.block_sparse_moe.gate' },
    { role: 'gate', name: `${EXPERT}.w1` },
    { role: 'up', name: `${EXPERT}.w3` },
    { role: 'down', name: `${EXPERT}.w2` },
  ],
  vectors: LLAMA_VECTORS,
  leftovers: LLAMA_LEFTOVERS,
  slides: () => true,
  block: (config, _, plain, file) => {
    const [count, perToken] = [config.num_local_experts ?? 8, config.num_experts_per_tok ?? 2];
    if (perToken > count) {
      throw disagreement(file, `num_experts_per_tok (${perToken}) must not be above num_local_experts (${count})`);
    }
    return { ...plain, experts: { count, perToken } };
  },
} satisfies Architecture;
