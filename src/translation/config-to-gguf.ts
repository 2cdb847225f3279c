import type { GgufMetadata, GgufValue } from '../checkpoint/gguf/value.js';
import { architectureOfModel } from './architectures.js';
import type { Llama3Scaling } from './llama3-rope.js';

/** What the metadata of a decoder says, in Hugging Face's terms and checked: what `describeModel` returns has it all. */
export interface DecoderNumbers {
  /** `model_type`. */
  readonly architecture: string;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  readonly vocabulary: number;
  readonly maxContext: number;
  readonly normEpsilon: number;
  readonly ropeTheta: number;
  readonly ropeScaling:
    | { readonly kind: 'none' }
    | { readonly kind: 'linear'; readonly factor: number }
    | ({ readonly kind: 'llama3' } & Llama3Scaling)
    | { readonly kind: 'longrope' };
  readonly slidingWindow?: number;
  readonly blocks: readonly unknown[];
}

const u32 = (value: number): GgufValue => ({ type: 'u32', value });
const f32 = (value: number): GgufValue => ({ type: 'f32', value: Math.fround(value) });
const string = (value: string): GgufValue => ({ type: 'string', value });

/**
 * Returns the part of a GGUF's metadata that config.json decides, in the order in which llama.cpp's converter writes it. The
 * sliding window is written too, though llama.cpp does not heed it for this architecture: it is what leads back to config.json.
 */
export function metadataOfDecoder(decoder: DecoderNumbers, name: string): GgufMetadata {
  const architecture = architectureOfModel(decoder.architecture);
  const own = Object.entries(architectureKeys(decoder)).map(
    ([key, value]) => [`${architecture.name}.${key}`, value] as const,
  );
  return new Map([['general.architecture', string(architecture.name)], ['general.name', string(name)], ...own]);
}

function architectureKeys(decoder: DecoderNumbers): Record<string, GgufValue> {
  const { headDim, hidden, heads, slidingWindow } = decoder;
  return {
    context_length: u32(decoder.maxContext),
    embedding_length: u32(hidden),
    block_count: u32(decoder.blocks.length),
    feed_forward_length: u32(decoder.ffn),
    'attention.head_count': u32(heads),
    'attention.head_count_kv': u32(decoder.kvHeads),
    ...(headDim * heads !== hidden && {
      'attention.key_length': u32(headDim),
      'attention.value_length': u32(headDim),
    }),
    'attention.layer_norm_rms_epsilon': f32(decoder.normEpsilon),
    ...(slidingWindow !== undefined && { 'attention.sliding_window': u32(slidingWindow) }),
    'rope.dimension_count': u32(headDim),
    'rope.freq_base': f32(decoder.ropeTheta),
    ...(decoder.ropeScaling.kind === 'linear' && {
      'rope.scaling.type': string('linear'),
      'rope.scaling.factor': f32(decoder.ropeScaling.factor),
    }),
    vocab_size: u32(decoder.vocabulary),
  };
}
