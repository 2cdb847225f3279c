import type { GgufArchitecture, TensorNames } from '../architecture.js';
import { rotaryShare, sharedConfig } from '../config-from-gguf.js';
import { bool, string } from '../gguf-values.js';
import type { OwnMetadata } from '../own-metadata.js';

const ACTIVATION = 'hidden_activation';
const PARALLEL = 'use_parallel_residual';

/**
 * The `hidden_act` that a file names. llama.cpp computes gelu by its tanh approximation whatever stands there; what a converter leaves
 * out is what the family publishes.
 */
function activationIn(own: OwnMetadata, usual: string): string {
  const said = own.text(ACTIVATION) ?? usual;
  if (said === 'gelu' || said === 'gelu_new') return said;
  throw own.unsupported(ACTIVATION, `is ${JSON.stringify(said.slice(0, 40))}; gelu and gelu_new are supported`);
}

const block = 'transformer.h.{i}';
const turned = (gguf: string, huggingFace: string): TensorNames => ({ gguf, huggingFace, form: 'transposed' });

/**
 * GPT-2: learned positions, LayerNorm, biases throughout; weights are stored [in, out] in transformers and [out, in] here.
 * Source: ggml-org/llama.cpp, src/models/gpt2.cpp and convert_hf_to_gguf.py (`GPT2Model`).
 */
export const gpt2: GgufArchitecture = {
  name: 'gpt2',
  models: [{ modelType: 'gpt2', className: 'GPT2LMHeadModel' }],
  ropeOrder: 'halves',
  norm: 'layer',
  rotation: 'none',
  activation: 'gelu-tanh',
  squareHeads: true,
  optionalPrefix: 'transformer.',
  tensors: [
    { gguf: 'token_embd', huggingFace: 'transformer.wte' },
    { gguf: 'position_embd', huggingFace: 'transformer.wpe' },
    { gguf: 'blk.{i}.attn_norm', huggingFace: `${block}.ln_1` },
    turned('blk.{i}.attn_qkv', `${block}.attn.c_attn`),
    turned('blk.{i}.attn_output', `${block}.attn.c_proj`),
    { gguf: 'blk.{i}.ffn_norm', huggingFace: `${block}.ln_2` },
    turned('blk.{i}.ffn_up', `${block}.mlp.c_fc`),
    turned('blk.{i}.ffn_down', `${block}.mlp.c_proj`),
    { gguf: 'output_norm', huggingFace: 'transformer.ln_f' },
    { gguf: 'output', huggingFace: 'lm_head', noBias: true },
  ],
  keys: [ACTIVATION],
  metadata: ({ activation }) => (activation === 'gelu' ? { [ACTIVATION]: string('gelu') } : {}),
  refusal: ({ blocks, headDim }) => {
    const odd = blocks.some(({ attentionScale }) => Math.abs((attentionScale ?? 1) * Math.sqrt(headDim) - 1) > 1e-6);
    return odd
      ? 'it divides all scores by the root of the size of a head (scale_attn_weights, not scale_attn_by_inverse_layer_idx)'
      : undefined;
  },
  config: (numbers, own) => ({
    ...sharedConfig(numbers),
    activation_function: activationIn(own, 'gelu_new'),
    layer_norm_epsilon: numbers.epsilon,
    n_ctx: numbers.context,
    n_embd: numbers.hidden,
    n_head: numbers.heads,
    n_inner: numbers.ffn === 4 * numbers.hidden ? null : numbers.ffn,
    n_layer: numbers.blocks,
    n_positions: numbers.context,
  }),
};

const neox = 'gpt_neox.layers.{i}';

/**
 * GPT-NeoX and Pythia: q, k and v dealt out head by head in transformers, one after the other here; part of each head turned.
 * Source: ggml-org/llama.cpp, src/models/gptneox.cpp and convert_hf_to_gguf.py (`GPTNeoXModel`).
 */
export const gptneox: GgufArchitecture = {
  name: 'gptneox',
  models: [{ modelType: 'gpt_neox', className: 'GPTNeoXForCausalLM' }],
  ropeOrder: 'halves',
  norm: 'layer',
  rotation: 'partial',
  activation: 'gelu-tanh',
  squareHeads: true,
  tensors: [
    { gguf: 'token_embd', huggingFace: 'gpt_neox.embed_in' },
    { gguf: 'blk.{i}.attn_norm', huggingFace: `${neox}.input_layernorm` },
    { gguf: 'blk.{i}.attn_qkv', huggingFace: `${neox}.attention.query_key_value`, form: 'dealt' },
    { gguf: 'blk.{i}.attn_output', huggingFace: `${neox}.attention.dense` },
    { gguf: 'blk.{i}.ffn_norm', huggingFace: `${neox}.post_attention_layernorm` },
    { gguf: 'blk.{i}.ffn_up', huggingFace: `${neox}.mlp.dense_h_to_4h` },
    { gguf: 'blk.{i}.ffn_down', huggingFace: `${neox}.mlp.dense_4h_to_h` },
    { gguf: 'output_norm', huggingFace: 'gpt_neox.final_layer_norm' },
    { gguf: 'output', huggingFace: 'embed_out', noBias: true },
  ],
  keys: [ACTIVATION, PARALLEL],
  metadata: ({ activation, parallelResidual }) => ({
    [PARALLEL]: bool(parallelResidual),
    ...(activation !== 'gelu' && { [ACTIVATION]: string('gelu_new') }),
  }),
  refusal: ({ blocks, tied }) => {
    if (tied) return 'it looks for a head of its own, and here that is the embedding';
    const isBare = blocks.some(({ linears }) => linears.some(({ bias }) => bias === undefined));
    return isBare ? 'it looks for a bias beside every weight, and here attention has none (attention_bias)' : undefined;
  },
  config: (numbers, own) => ({
    ...sharedConfig(numbers),
    attention_bias: true,
    hidden_act: activationIn(own, 'gelu'),
    hidden_size: numbers.hidden,
    intermediate_size: numbers.ffn,
    layer_norm_eps: numbers.epsilon,
    max_position_embeddings: numbers.context,
    num_attention_heads: numbers.heads,
    num_hidden_layers: numbers.blocks,
    rope_scaling: numbers.ropeScaling,
    rotary_emb_base: numbers.theta,
    rotary_pct: rotaryShare(numbers),
    use_parallel_residual: own.required(PARALLEL, own.flag(PARALLEL)),
  }),
};
