import type { GgufArchitecture, TensorNames } from '../architecture.js';
import { decoderConfig } from '../config-from-gguf.js';
import { u32 } from '../gguf-values.js';

/** The embedding, the last norm and the head, by the names that most architectures give them. */
export const END_TENSORS: readonly TensorNames[] = [
  { gguf: 'token_embd', huggingFace: 'model.embed_tokens' },
  { gguf: 'output_norm', huggingFace: 'model.norm' },
  { gguf: 'output', huggingFace: 'lm_head' },
];

export const ATTENTION_TENSORS: readonly TensorNames[] = [
  { gguf: 'blk.{i}.attn_q', huggingFace: 'model.layers.{i}.self_attn.q_proj', heads: 'query' },
  { gguf: 'blk.{i}.attn_k', huggingFace: 'model.layers.{i}.self_attn.k_proj', heads: 'key' },
  { gguf: 'blk.{i}.attn_v', huggingFace: 'model.layers.{i}.self_attn.v_proj' },
  { gguf: 'blk.{i}.attn_output', huggingFace: 'model.layers.{i}.self_attn.o_proj' },
];

export const FFN_TENSORS: readonly TensorNames[] = [
  { gguf: 'blk.{i}.ffn_gate', huggingFace: 'model.layers.{i}.mlp.gate_proj' },
  { gguf: 'blk.{i}.ffn_up', huggingFace: 'model.layers.{i}.mlp.up_proj' },
  { gguf: 'blk.{i}.ffn_down', huggingFace: 'model.layers.{i}.mlp.down_proj' },
];

/** Llama's block: a norm before each half. */
export const DENSE_TENSORS: readonly TensorNames[] = [
  ...END_TENSORS,
  { gguf: 'blk.{i}.attn_norm', huggingFace: 'model.layers.{i}.input_layernorm' },
  ...ATTENTION_TENSORS,
  { gguf: 'blk.{i}.ffn_norm', huggingFace: 'model.layers.{i}.post_attention_layernorm' },
  ...FFN_TENSORS,
];

/** `num_local_experts` of them in one tensor each, and the router. */
const EXPERT_TENSORS: readonly TensorNames[] = [
  { gguf: 'blk.{i}.ffn_gate_inp', huggingFace: 'model.layers.{i}.block_sparse_moe.gate', noBias: true },
  ...(
    [
      ['gate', 'w1'],
      ['up', 'w3'],
      ['down', 'w2'],
    ] as const
  ).map(([role, name]) => ({
    gguf: `blk.{i}.ffn_${role}_exps`,
    huggingFace: `model.layers.{i}.block_sparse_moe.experts.{e}.${name}`,
    form: 'experts' as const,
    noBias: true as const,
  })),
];

/**
 * The Llama family. Mistral and Mixtral are written as it too, as llama.cpp's own converter does.
 * Source: ggml-org/llama.cpp, gguf-py/gguf/{constants,tensor_mapping}.py, convert_hf_to_gguf.py (`LlamaModel`), src/models/llama.cpp.
 */
export const llama: GgufArchitecture = {
  name: 'llama',
  models: [
    { modelType: 'llama', className: 'LlamaForCausalLM' },
    { modelType: 'mistral', className: 'MistralForCausalLM', slides: true },
    { modelType: 'mixtral', className: 'MixtralForCausalLM', experts: true },
  ],
  ropeOrder: 'pairs',
  norm: 'rms',
  rotation: 'whole',
  activation: 'silu',
  hasRopeFactors: true,
  tensors: [...DENSE_TENSORS, ...EXPERT_TENSORS],
  metadata: ({ blocks }) => {
    const experts = blocks[0]?.experts;
    return experts === undefined ? {} : { expert_count: u32(experts.count), expert_used_count: u32(experts.perToken) };
  },
  config: (numbers) => {
    const { window, experts, facts, model } = numbers;
    const windowed = { sliding_window: window === 0 ? null : window };
    if (experts !== undefined) {
      const mixture = { num_local_experts: experts.count, num_experts_per_tok: experts.perToken };
      return { ...decoderConfig(numbers), ...windowed, ...mixture };
    }
    return {
      ...decoderConfig(numbers),
      attention_bias: facts.attentionBias,
      mlp_bias: facts.mlpBias,
      ...(model.slides && windowed),
    };
  },
};
