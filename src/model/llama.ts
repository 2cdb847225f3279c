import type { Architecture } from './architecture.js';

/** Llama 1 to 3 and everything saved as one. Source: transformers, models/llama/{configuration,modeling}_llama.py. */
export default {
  modelType: 'llama',
  className: 'LlamaForCausalLM',
  weights: {
    embedding: 'model.embed_tokens.weight',
    head: 'lm_head.weight',
    finalNorm: 'model.norm.weight',
    attentionNorm: 'model.layers.{i}.input_layernorm.weight',
    ffnNorm: 'model.layers.{i}.post_attention_layernorm.weight',
    q: 'model.layers.{i}.self_attn.q_proj',
    k: 'model.layers.{i}.self_attn.k_proj',
    v: 'model.layers.{i}.self_attn.v_proj',
    o: 'model.layers.{i}.self_attn.o_proj',
    gate: 'model.layers.{i}.mlp.gate_proj',
    up: 'model.layers.{i}.mlp.up_proj',
    down: 'model.layers.{i}.mlp.down_proj',
  },
  ties: [['model.embed_tokens.weight', 'lm_head.weight']],
  leftovers: [/^model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq$/],
  options: { attentionBias: true, mlpBias: true, slidingWindow: false },
  defaults: {
    max_position_embeddings: 2048,
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    sliding_window: null,
    num_key_value_heads: null,
  },
} satisfies Architecture;
