import { quoted } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { GgufArchitecture } from './architecture.js';

/**
 * The Llama family. Mistral is written as it too, as llama.cpp's own converter does.
 * Source: ggml-org/llama.cpp, gguf-py/gguf/{constants,tensor_mapping}.py and convert_hf_to_gguf.py (`LlamaModel`).
 */
const llama: GgufArchitecture = {
  name: 'llama',
  models: [
    { modelType: 'llama', className: 'LlamaForCausalLM', slides: false },
    { modelType: 'mistral', className: 'MistralForCausalLM', slides: true },
  ],
  ropeOrder: 'pairs',
  hasRopeFactors: true,
  tensors: [
    { gguf: 'token_embd', huggingFace: 'model.embed_tokens' },
    { gguf: 'output_norm', huggingFace: 'model.norm' },
    { gguf: 'output', huggingFace: 'lm_head' },
    { gguf: 'blk.{i}.attn_norm', huggingFace: 'model.layers.{i}.input_layernorm' },
    { gguf: 'blk.{i}.attn_q', huggingFace: 'model.layers.{i}.self_attn.q_proj', heads: 'query' },
    { gguf: 'blk.{i}.attn_k', huggingFace: 'model.layers.{i}.self_attn.k_proj', heads: 'key' },
    { gguf: 'blk.{i}.attn_v', huggingFace: 'model.layers.{i}.self_attn.v_proj' },
    { gguf: 'blk.{i}.attn_output', huggingFace: 'model.layers.{i}.self_attn.o_proj' },
    { gguf: 'blk.{i}.ffn_norm', huggingFace: 'model.layers.{i}.post_attention_layernorm' },
    { gguf: 'blk.{i}.ffn_gate', huggingFace: 'model.layers.{i}.mlp.gate_proj' },
    { gguf: 'blk.{i}.ffn_up', huggingFace: 'model.layers.{i}.mlp.up_proj' },
    { gguf: 'blk.{i}.ffn_down', huggingFace: 'model.layers.{i}.mlp.down_proj' },
  ],
};

/**
 * DeciLM: Llama's block, in sizes of its own for every block; what shedding writes when blocks end up with different widths.
 * Source: ggml-org/llama.cpp, src/models/deci.cpp and convert_hf_to_gguf.py (`DeciModel`).
 */
const deci: GgufArchitecture = {
  name: 'deci',
  models: [{ modelType: 'nemotron-nas', className: 'DeciLMForCausalLM', slides: false }],
  ropeOrder: llama.ropeOrder,
  hasRopeFactors: true,
  perBlock: true,
  tensors: llama.tensors,
};

/** Every architecture that is translated. A new one is a row, and in `src/model/` what it takes to run it. */
export const ggufArchitectures: readonly GgufArchitecture[] = [llama, deci];

/** The architecture of a GGUF. Throws `unsupported`, with what is known, for another. */
export function architectureOfGguf(name: string, file: string): GgufArchitecture {
  const found = ggufArchitectures.find((architecture) => architecture.name === name);
  if (found !== undefined) return found;
  const known = ggufArchitectures.map((architecture) => architecture.name).join(', ');
  throw new BirdboneError(
    'unsupported',
    `${file} holds a model of the architecture ${quoted(name)}, whose tensors have no known Hugging Face names. Known: ${known}.`,
    { file },
  );
}

/** The GGUF architecture that a `model_type` is written as. Throws `unsupported`, with what is known, for another. */
export function architectureOfModel(modelType: string): GgufArchitecture {
  const found = ggufArchitectures.find(({ models }) => models.some((model) => model.modelType === modelType));
  if (found !== undefined) return found;
  const known = ggufArchitectures.flatMap(({ models }) => models.map((model) => model.modelType)).join(', ');
  throw new BirdboneError('unsupported', `A ${quoted(modelType)} model cannot be written as GGUF. Known: ${known}.`);
}
