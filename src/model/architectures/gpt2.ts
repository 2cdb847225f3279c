import type { Architecture } from '../architecture.js';
import type { BlockShape, LinearSegment } from '../decoder.js';

/** q, k and v of all heads, one after the other. */
function segments({ heads, headDim }: BlockShape): LinearSegment[] {
  const rows = heads * headDim;
  return (['q', 'k', 'v'] as const).map((role, i) => ({ role, start: i * rows, rows }));
}

/**
 * GPT-2 and its kin: positions are learned and added to the embeddings, weights are stored [in, out] (transformers' Conv1D), q, k
 * and v are one weight, norms are LayerNorm with a bias, the FFN has no gate, and the head is the embedding. The first release
 * stores names without `transformer.`. Source: transformers, models/gpt2/{configuration,modeling}_gpt2.py (the defaults too).
 */
export default {
  modelType: 'gpt2',
  className: 'GPT2LMHeadModel',
  keys: ['scale_attn_weights', 'scale_attn_by_inverse_layer_idx'],
  spellings: {
    hidden_size: 'n_embd',
    intermediate_size: 'n_inner',
    num_hidden_layers: 'n_layer',
    num_attention_heads: 'n_head',
    max_position_embeddings: 'n_positions',
    hidden_act: 'activation_function',
    rms_norm_eps: 'layer_norm_epsilon',
  },
  // `n_ctx` is n_positions again, the summary is for another head, and the order of a product does not change it.
  harmless: [
    'n_ctx',
    'reorder_and_upcast_attn',
    'summary_activation',
    'summary_first_dropout',
    'summary_proj_to_labels',
    'summary_type',
    'summary_use_proj',
  ],
  activations: ['gelu_new', 'gelu_pytorch_tanh', 'gelu_fast', 'gelu'],
  defaults: { max_position_embeddings: 1024, rms_norm_eps: 1e-5, tie_word_embeddings: true },
  norm: 'layer',
  tensors: {
    embedding: 'transformer.wte.weight',
    positions: 'transformer.wpe.weight',
    finalNorm: 'transformer.ln_f.weight',
    finalNormBias: 'transformer.ln_f.bias',
    head: 'lm_head.weight',
  },
  linears: [
    { role: 'qkv', name: 'transformer.h.{i}.attn.c_attn', bias: true, layout: 'in-out', segments },
    { role: 'o', name: 'transformer.h.{i}.attn.c_proj', bias: true, layout: 'in-out' },
    { role: 'up', name: 'transformer.h.{i}.mlp.c_fc', bias: true, layout: 'in-out' },
    { role: 'down', name: 'transformer.h.{i}.mlp.c_proj', bias: true, layout: 'in-out' },
  ],
  vectors: [
    { kind: 'attention-norm', tensor: 'transformer.h.{i}.ln_1.weight', axis: 'hidden' },
    { kind: 'attention-norm-bias', tensor: 'transformer.h.{i}.ln_1.bias', axis: 'hidden' },
    { kind: 'ffn-norm', tensor: 'transformer.h.{i}.ln_2.weight', axis: 'hidden' },
    { kind: 'ffn-norm-bias', tensor: 'transformer.h.{i}.ln_2.bias', axis: 'hidden' },
  ],
  optionalPrefix: 'transformer.',
  // The causal mask, and what it masks with.
  leftovers: [/^(transformer\.)?h\.\d+\.attn\.(masked_)?bias$/],
  learnedPositions: true,
  ffnWidth: (config) => 4 * config.hidden_size,
  block: (config, block, plain) => {
    const scaled = config.scale_attn_weights === false ? 1 : 1 / Math.sqrt(plain.headDim);
    return { ...plain, attentionScale: config.scale_attn_by_inverse_layer_idx ? scaled / (block + 1) : scaled };
  },
} satisfies Architecture;
