import type { GgufArchitecture } from '../architecture.js';
import { decoderConfig, rotaryShare } from '../config-from-gguf.js';
import type { Config, GgufNumbers } from '../gguf-numbers.js';
import { f32, u32 } from '../gguf-values.js';
import { isUsualAmplitude } from '../long-rope.js';
import type { OwnMetadata } from '../own-metadata.js';
import { DENSE_TENSORS, END_TENSORS } from './llama.js';

const ORIGINAL_CONTEXT = 'rope.scaling.original_context_length';
const AMPLITUDE = 'rope.scaling.attn_factor';

/** What LongRoPE says in a config.json; without it the first context is the whole. */
function longRope({ context, facts, ropeScaling }: GgufNumbers, own: OwnMetadata): Config {
  const original = own.integer(ORIGINAL_CONTEXT) ?? context;
  if (facts.longRope === undefined) return { original_max_position_embeddings: original, rope_scaling: ropeScaling };
  const amplitude = own.decimal(AMPLITUDE) ?? 1;
  if (!isUsualAmplitude(amplitude, context, original)) {
    throw own.unsupported(
      AMPLITUDE,
      `is ${amplitude}, which does not follow from the contexts ${context} and ${original}`,
    );
  }
  const { long, short } = facts.longRope;
  return {
    original_max_position_embeddings: original,
    rope_scaling: { long_factor: long, short_factor: short, type: 'longrope' },
  };
}

/**
 * Phi-3, 3.5 and 4: q, k and v in one weight, gate and up in another, as transformers has them.
 * Source: ggml-org/llama.cpp, src/models/phi3.cpp and convert_hf_to_gguf.py (`Phi3MiniModel`).
 */
export const phi3: GgufArchitecture = {
  name: 'phi3',
  models: [{ modelType: 'phi3', className: 'Phi3ForCausalLM' }],
  ropeOrder: 'halves',
  norm: 'rms',
  rotation: 'partial',
  activation: 'silu',
  squareHeads: true,
  hasLongRope: true,
  tensors: [
    ...END_TENSORS,
    ...DENSE_TENSORS.filter(({ gguf }) => gguf.endsWith('_norm') && gguf.startsWith('blk.')),
    { gguf: 'blk.{i}.attn_qkv', huggingFace: 'model.layers.{i}.self_attn.qkv_proj' },
    { gguf: 'blk.{i}.attn_output', huggingFace: 'model.layers.{i}.self_attn.o_proj' },
    { gguf: 'blk.{i}.ffn_up', huggingFace: 'model.layers.{i}.mlp.gate_up_proj' },
    { gguf: 'blk.{i}.ffn_down', huggingFace: 'model.layers.{i}.mlp.down_proj' },
  ].map((row) => ({ ...row, noBias: true as const })),
  keys: [AMPLITUDE],
  metadata: ({ ropeScaling, slidingWindow, maxContext }) => {
    const isLong = ropeScaling.kind === 'longrope';
    return {
      // The converter's way to say that a Phi-3 slides none.
      ...(slidingWindow === undefined && { 'attention.sliding_window': u32(0) }),
      [ORIGINAL_CONTEXT]: u32(isLong ? ropeScaling.originalContext : maxContext),
      ...(isLong && { [AMPLITUDE]: f32(ropeScaling.amplitude) }),
    };
  },
  config: (numbers, own) => ({
    ...decoderConfig(numbers),
    attention_bias: false,
    ...longRope(numbers, own),
    ...(numbers.rotated !== numbers.headDim && { partial_rotary_factor: rotaryShare(numbers) }),
    sliding_window: numbers.window === 0 ? null : numbers.window,
  }),
};
