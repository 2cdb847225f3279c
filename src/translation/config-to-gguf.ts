import type { GgufMetadata, GgufValue } from '../checkpoint/gguf/value.js';
import { BirdboneError } from '../errors.js';
import type { GgufArchitecture } from './architecture.js';
import { architectureOfModel } from './architectures.js';
import { f32, i32s, string, u32 } from './gguf-values.js';
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
  readonly activation: 'silu' | 'gelu' | 'gelu-tanh';
  readonly parallelResidual: boolean;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeNumbers;
  readonly slidingWindow?: number;
  readonly attentionScale?: number;
  readonly attentionSoftcap?: number;
  readonly finalSoftcap?: number;
  /** Whether the head is the embedding. */
  readonly tied: boolean;
  readonly blocks: readonly DecoderBlock[];
}

type RopeNumbers =
  | { readonly kind: 'none' }
  | { readonly kind: 'linear'; readonly factor: number }
  | ({ readonly kind: 'llama3' } & Llama3Scaling)
  | {
      readonly kind: 'longrope';
      readonly shortFactors: readonly number[];
      readonly longFactors: readonly number[];
      readonly originalContext: number;
      readonly amplitude: number;
    };

/** Sizes of one block; 0 where it has no attention, or no FFN. */
export interface BlockNumbers {
  readonly heads: number;
  readonly kvHeads: number;
  readonly ffn: number;
}

/** A block, as far as a GGUF says something of it. */
export interface DecoderBlock extends BlockNumbers {
  readonly slidingWindow?: number;
  readonly attentionScale?: number;
  readonly rope?: { readonly theta: number; readonly dimensions: number };
  readonly experts?: { readonly count: number; readonly perToken: number };
  readonly linears: readonly { readonly weight: string; readonly bias?: string }[];
  readonly vectors: readonly { readonly tensor: string }[];
}

/**
 * Returns the part of a GGUF's metadata that config.json decides, in the order in which llama.cpp's converter writes it. A sliding
 * window is written also where llama.cpp does not heed it: it is what leads back to config.json. Throws `unsupported` for a model
 * that llama.cpp would not run as it is.
 */
export function metadataOfDecoder(decoder: DecoderNumbers, name: string): GgufMetadata {
  const architecture = architectureOfModel(decoder.architecture);
  refuseOthers(decoder, architecture);
  if (architecture.perBlock) refuseSkippedBlocks(decoder);
  const own = Object.entries({
    ...architectureKeys(decoder, architecture),
    ...architecture.metadata?.(decoder),
    vocab_size: u32(decoder.vocabulary),
  }).map(([key, value]) => [`${architecture.name}.${key}`, value] as const);
  return new Map([['general.architecture', string(architecture.name)], ['general.name', string(name)], ...own]);
}

/** What llama.cpp would make of a model that it does not run as it is, a sentence each. */
export function changedByLlamaCpp(decoder: DecoderNumbers): string[] {
  const { slidingWindow, maxContext, activation, ropeScaling } = decoder;
  const architecture = architectureOfModel(decoder.architecture);
  const notices: string[] = [];
  if (slidingWindow !== undefined && slidingWindow < maxContext && !architecture.heedsWindows) {
    notices.push(
      `sliding_window ${slidingWindow}: llama.cpp lets this architecture look back over the whole context of ${maxContext}, so texts longer than the window come out otherwise.`,
    );
  }
  if (activation !== architecture.activation) {
    notices.push('llama.cpp computes gelu by its tanh approximation: results differ from the fourth digit on.');
  }
  if (ropeScaling.kind === 'longrope') {
    notices.push(
      `LongRoPE: llama.cpp takes the factors for long texts where its context is above ${ropeScaling.originalContext}, however short the text is.`,
    );
  }
  return notices;
}

/** Throws for what llama.cpp's code for an architecture takes for granted and a model does not keep to. */
function refuseOthers(decoder: DecoderNumbers, architecture: GgufArchitecture): void {
  const { ropeScaling, hidden, headDim, heads } = decoder;
  const kinds = ['none', 'linear', architecture.hasRopeFactors && 'llama3', architecture.hasLongRope && 'longrope'];
  const why =
    architecture.refusal?.(decoder) ??
    (kinds.includes(ropeScaling.kind) ? undefined : `it has no ${ropeScaling.kind} scaling of this architecture`) ??
    (architecture.squareHeads && heads * headDim !== hidden
      ? `it takes the ${heads} heads of ${headDim} together to be as wide as the residual stream, ${hidden}`
      : undefined);
  if (why === undefined) return;
  throw new BirdboneError('unsupported', `llama.cpp does not run this ${decoder.architecture} model as it is: ${why}.`);
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

function architectureKeys(
  decoder: DecoderNumbers,
  { perBlock, norm, rotation }: GgufArchitecture,
): Record<string, GgufValue> {
  const { headDim, hidden, heads, slidingWindow, blocks } = decoder;
  const size = (key: keyof BlockNumbers, all: number) =>
    perBlock ? i32s(blocks.map((block) => block[key])) : u32(all);
  const rotated = blocks.find(({ rope }) => rope !== undefined)?.rope?.dimensions ?? headDim;
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
    [`attention.layer_norm_${norm === 'rms' ? 'rms_' : ''}epsilon`]: f32(decoder.normEpsilon),
    ...(slidingWindow !== undefined && { 'attention.sliding_window': u32(slidingWindow) }),
    ...(rotation !== 'none' && {
      'rope.dimension_count': u32(rotated),
      'rope.freq_base': f32(decoder.ropeTheta),
    }),
    ...(decoder.ropeScaling.kind === 'linear' && {
      'rope.scaling.type': string('linear'),
      'rope.scaling.factor': f32(decoder.ropeScaling.factor),
    }),
  };
}
