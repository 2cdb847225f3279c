import type { GgufArchitecture, TensorNames } from '../architecture.js';
import { decoderConfig } from '../config-from-gguf.js';
import type { DecoderNumbers } from '../config-to-gguf.js';
import type { Config, GgufNumbers } from '../gguf-numbers.js';
import { bools } from '../gguf-values.js';
import type { OwnMetadata } from '../own-metadata.js';
import { DENSE_TENSORS } from './llama.js';

/** Norms as wide as one head, over each head of q and of k. */
export const HEAD_NORMS: readonly TensorNames[] = [
  { gguf: 'blk.{i}.attn_q_norm', huggingFace: 'model.layers.{i}.self_attn.q_norm', noBias: true },
  { gguf: 'blk.{i}.attn_k_norm', huggingFace: 'model.layers.{i}.self_attn.k_norm', noBias: true },
];

const PATTERN = 'attention.sliding_window_pattern';

/** llama.cpp does not read it of this family; it is what leads back to `layer_types`. */
function windowPattern({ slidingWindow, blocks }: DecoderNumbers) {
  if (slidingWindow === undefined) return {};
  return { [PATTERN]: bools(blocks.map((block) => block.slidingWindow !== undefined)) };
}

function windows({ window, blocks }: GgufNumbers, own: OwnMetadata): Config {
  if (window === 0) return { use_sliding_window: false, sliding_window: null };
  const slides = own.required(PATTERN, own.reader.flags(own.key(PATTERN)));
  if (slides.length !== blocks) throw own.wrong(PATTERN, `has ${slides.length} entries for ${blocks} blocks`);
  const layer_types = Array.from(slides, (slide) => (slide ? 'sliding_attention' : 'full_attention'));
  return { use_sliding_window: true, sliding_window: window, layer_types };
}

const shared = {
  ropeOrder: 'halves',
  norm: 'rms',
  rotation: 'whole',
  activation: 'silu',
  keys: [PATTERN],
  metadata: windowPattern,
} as const satisfies Partial<GgufArchitecture>;

/**
 * Qwen2 and 2.5: Llama's block with biases on q, k and v, whose rows are in transformers' order.
 * Source: ggml-org/llama.cpp, src/models/qwen2.cpp (q has n_embd rows) and convert_hf_to_gguf.py (`Qwen2Model`).
 */
export const qwen2: GgufArchitecture = {
  ...shared,
  name: 'qwen2',
  models: [{ modelType: 'qwen2', className: 'Qwen2ForCausalLM' }],
  squareHeads: true,
  tensors: DENSE_TENSORS,
  config: (numbers, own) => ({ ...decoderConfig(numbers), ...windows(numbers, own) }),
};

/** Qwen3 (dense): norms on the heads of q and k instead of biases. Source: ggml-org/llama.cpp, src/models/qwen3.cpp. */
export const qwen3: GgufArchitecture = {
  ...shared,
  name: 'qwen3',
  models: [{ modelType: 'qwen3', className: 'Qwen3ForCausalLM' }],
  tensors: [...DENSE_TENSORS.map((row): TensorNames => ({ ...row, noBias: true })), ...HEAD_NORMS],
  config: (numbers, own) => ({ ...decoderConfig(numbers), attention_bias: false, ...windows(numbers, own) }),
};
