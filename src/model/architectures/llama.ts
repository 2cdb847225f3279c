import type { Architecture, LinearTemplate } from '../architecture.js';

/** Keys that Llama and most of its kin read. */
export const LLAMA_KEYS = [
  'num_key_value_heads',
  'head_dim',
  'rope_theta',
  'rope_scaling',
  'rope_parameters',
] as const satisfies Architecture['keys'];

export const LLAMA_TENSORS = {
  embedding: 'model.embed_tokens.weight',
  finalNorm: 'model.norm.weight',
  head: 'lm_head.weight',
} as const satisfies Architecture['tensors'];

/** Llama's linears, with the biases that are asked for: of q, k and v; of o; of the FFN. */
export function llamaLinears(biases: {
  readonly qkv?: LinearTemplate['bias'];
  readonly o?: LinearTemplate['bias'];
  readonly ffn?: LinearTemplate['bias'];
}): LinearTemplate[] {
  const linear = (role: LinearTemplate['role'], part: string, bias?: LinearTemplate['bias']): LinearTemplate => ({
    role,
    name: `model.layers.{i}.${part}_proj`,
    ...(bias !== undefined && { bias }),
  });
  return [
    linear('q', 'self_attn.q', biases.qkv),
    linear('k', 'self_attn.k', biases.qkv),
    linear('v', 'self_attn.v', biases.qkv),
    linear('o', 'self_attn.o', biases.o),
    linear('gate', 'mlp.gate', biases.ffn),
    linear('up', 'mlp.up', biases.ffn),
    linear('down', 'mlp.down', biases.ffn),
  ];
}

export const LLAMA_VECTORS: Architecture['vectors'] = [
  { kind: 'attention-norm', tensor: 'model.layers.{i}.input_layernorm.weight', axis: 'hidden' },
  { kind: 'ffn-norm', tensor: 'model.layers.{i}.post_attention_layernorm.weight', axis: 'hidden' },
];

/** The rotary frequencies, which follow from the config. */
export const LLAMA_LEFTOVERS = [/^model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq$/];

/** Llama 1 to 3 and everything saved as one. Source: transformers, models/llama/{configuration,modeling}_llama.py. */
export default {
  modelType: 'llama',
  className: 'LlamaForCausalLM',
  keys: [...LLAMA_KEYS, 'attention_bias', 'mlp_bias'],
  activations: ['silu'],
  defaults: { max_position_embeddings: 2048, rms_norm_eps: 1e-6, rope_theta: 10_000 },
  norm: 'rms',
  tensors: LLAMA_TENSORS,
  linears: llamaLinears({ qkv: 'attention_bias', o: 'attention_bias', ffn: 'mlp_bias' }),
  vectors: LLAMA_VECTORS,
  leftovers: LLAMA_LEFTOVERS,
} satisfies Architecture;
