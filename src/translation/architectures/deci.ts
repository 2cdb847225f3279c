import type { GgufArchitecture } from '../architecture.js';
import { decoderConfig } from '../config-from-gguf.js';
import { DENSE_TENSORS, llama } from './llama.js';

/**
 * DeciLM: Llama's block, in sizes of its own for every block; what shedding writes when blocks end up with different widths.
 * Source: ggml-org/llama.cpp, src/models/deci.cpp and convert_hf_to_gguf.py (`DeciModel`).
 */
export const deci: GgufArchitecture = {
  name: 'deci',
  models: [{ modelType: 'nemotron-nas', className: 'DeciLMForCausalLM' }],
  ropeOrder: llama.ropeOrder,
  norm: llama.norm,
  rotation: llama.rotation,
  activation: llama.activation,
  hasRopeFactors: true,
  perBlock: true,
  tensors: DENSE_TENSORS,
  config: (numbers) => ({
    ...decoderConfig(numbers),
    attention_bias: numbers.facts.attentionBias,
    mlp_bias: numbers.facts.mlpBias,
  }),
};
