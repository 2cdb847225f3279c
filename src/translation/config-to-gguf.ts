import type { GgufMetadata, GgufValue } from '../checkpoint/gguf/value.js';
import { BirdboneError } from '../errors.js';
import type { GgufArchitecture } from './architecture.js';
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
  readonly blocks: readonly BlockNumbers[];
}

/** Sizes of one block; 0 where it has no attention, or no FFN. */
export interface BlockNumbers {
  readonly heads: number;
  readonly kvHeads: number;
  readonly ffn: number;
}

const u32 = (value: number): GgufValue => ({ type: 'u32', value });
const f32 = (value: number): GgufValue => ({ type: 'f32', value: Math.fround(value) });
const i32s = (values: readonly number[]): GgufValue => ({ type: 'array', of: 'i32', values });
const string = (value: string): GgufValue => ({ type: 'string', value });

/**
 * Returns the part of a GGUF's metadata that config.json decides, in the order in which llama.cpp's converter writes it. The
 * sliding window is written too, though llama.cpp does not heed it for this architecture: it is what leads back to config.json.
 */
export function metadataOfDecoder(decoder: DecoderNumbers, name: string): GgufMetadata {
  const architecture = architectureOfModel(decoder.architecture);
  if (architecture.perBlock) refuseSkippedBlocks(decoder);
  const own = Object.entries(architectureKeys(decoder, architecture)).map(
    ([key, value]) => [`${architecture.name}.${key}`, value] as const,
  );
  return new Map([['general.architecture', string(architecture.name)], ['general.name', string(name)], ...own]);
}

/**
 * Throws `unsupported` for blocks that llama.cpp would run otherwise. It reads the size of a head where the first block has any,
 * and passes over a block without an FFN, its attention included.
 * Source: ggml-org/llama.cpp, src/models/deci.cpp (`if (n_ff == 0) continue`) and llama-model.cpp (`n_embd_head_k`).
 */
function refuseSkippedBlocks({ blocks }: DecoderNumbers): void {
  const skipped = blocks.findIndex(({ heads, ffn }) => heads > 0 && ffn === 0);
  if (skipped >= 0) {
    throw new BirdboneError(
      'unsupported',
      `Block ${skipped} has attention and no FFN, and llama.cpp passes over a block without an FFN, attention included.`,
      { suggestions: ['Shed blocks as a whole, or channels of their FFNs: --plates ffn'] },
    );
  }
  if (blocks[0]!.heads > 0) return;
  throw new BirdboneError(
    'unsupported',
    'The first block has no attention, and llama.cpp reads from it how large a head is.',
    { suggestions: ['Keep the attention of the first block.'] },
  );
}

function architectureKeys(decoder: DecoderNumbers, { perBlock }: GgufArchitecture): Record<string, GgufValue> {
  const { headDim, hidden, heads, slidingWindow, blocks } = decoder;
  const size = (key: keyof BlockNumbers, all: number) =>
    perBlock ? i32s(blocks.map((block) => block[key])) : u32(all);
  return {
    context_length: u32(decoder.maxContext),
    embedding_length: u32(hidden),
    block_count: u32(blocks.length),
    feed_forward_length: size('ffn', decoder.ffn),
    'attention.head_count': size('heads', heads),
    'attention.head_count_kv': size('kvHeads', decoder.kvHeads),
    ...((perBlock || headDim * heads !== hidden) && {
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
