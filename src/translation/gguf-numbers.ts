import { quoted } from '../checkpoint/index.js';
import type { GgufArchitecture, ModelType } from './architecture.js';
import { blockSizes, mostHeads } from './block-sizes.js';
import type { BlockNumbers } from './config-to-gguf.js';
import type { Llama3Scaling } from './llama3-rope.js';
import type { LongRopeFactors } from './long-rope.js';
import type { OwnMetadata } from './own-metadata.js';

/** What config.json says and only the tensors of a GGUF know. */
export interface TensorFacts {
  /** Rows of the embedding. */
  readonly vocabulary: number;
  /** Whether there is an output head of its own. */
  readonly hasHead: boolean;
  readonly attentionBias: boolean;
  readonly mlpBias: boolean;
  /** transformers' name of the type that most weights have: "float16". */
  readonly torchDtype: string;
  /** From `rope_freqs.weight`, where the file has it. */
  readonly llama3?: Llama3Scaling;
  /** From `rope_factors_long.weight` and its twin, where the file has them. */
  readonly longRope?: LongRopeFactors;
}

/** A config.json, keys in order. */
export type Config = Readonly<Record<string, unknown>>;

/** What every architecture's metadata say, checked. */
export interface GgufNumbers {
  readonly model: ModelType;
  readonly name: string | undefined;
  readonly tokenIds: Readonly<Record<string, number>>;
  readonly hidden: number;
  /** Of the blocks that have most. */
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  readonly blocks: number;
  /** The sizes of each block, in an architecture whose blocks may differ. */
  readonly sizes: readonly BlockNumbers[] | undefined;
  readonly context: number;
  readonly epsilon: number;
  readonly theta: number;
  /** Dimensions of a head that are turned. */
  readonly rotated: number;
  /** `rope_scaling` but for LongRoPE's. */
  readonly ropeScaling: Config | null;
  /** Tokens that a window reaches back; 0 where there is none. */
  readonly window: number;
  /** How many experts a block has, and how many of them a token goes through. */
  readonly experts: { readonly count: number; readonly perToken: number } | undefined;
  readonly facts: TensorFacts;
}

/** Experts of a block; no model has more, so that nothing is sized by a hostile number. */
export const MAX_EXPERTS = 4096;

/** Keys (without the prefix) that say nothing about what the model computes. */
const HARMLESS = new Set(['tensor_data_layout', 'vocab_size']);
/** Keys that are read of every architecture. */
const READ = new Set([
  ...['context_length', 'embedding_length', 'block_count', 'feed_forward_length', 'attention.head_count'],
  ...['attention.head_count_kv', 'attention.key_length', 'attention.value_length', 'attention.sliding_window'],
  ...['rope.dimension_count', 'rope.freq_base', 'rope.scaling.type'],
  ...['rope.scaling.factor', 'rope.scaling.original_context_length', 'rope.scale_linear'],
]);
/** Keys that would change what the model computes, and the value at which they do not. */
const ALLOWED: Readonly<Record<string, number | boolean>> = {
  expert_count: 0,
  expert_used_count: 0,
  'attention.causal': true,
};

/**
 * Returns what the metadata of an architecture say. Throws `unreadable` for numbers that are missing, of another type or that
 * contradict each other, `unsupported` for a key that is not known or asks for what no config can say.
 */
export function numbersOf(own: OwnMetadata, architecture: GgufArchitecture, facts: TensorFacts): GgufNumbers {
  refuseOtherKeys(own, architecture);
  const { reader } = own;
  const same = (name: string) => reader.sameForAllBlocks(own.key(name));
  const required = (name: string) => own.required(name, same(name));
  const sizes = architecture.perBlock ? blockSizes(reader, architecture) : undefined;
  const heads = sizes === undefined ? required('attention.head_count') : mostHeads(reader, architecture, sizes);
  const kvHeads = sizes === undefined ? (same('attention.head_count_kv') ?? heads) : 0;
  const hidden = required('embedding_length');
  const headDim = headDimOf(own, { heads, hidden });
  const window = own.integer('attention.sliding_window') ?? 0;
  const experts = expertsOf(own, architecture);
  const epsilon = `attention.${architecture.norm === 'rms' ? 'layer_norm_rms_epsilon' : 'layer_norm_epsilon'}`;
  return {
    model: modelTypeOf(own, architecture, { window, experts: experts !== undefined }),
    name: reader.text('general.name'),
    tokenIds: tokenIds(own),
    hidden,
    heads,
    kvHeads,
    headDim,
    ffn: sizes === undefined ? required('feed_forward_length') : 0,
    blocks: required('block_count'),
    sizes,
    context: required('context_length'),
    epsilon: own.required(epsilon, own.decimal(epsilon)),
    theta: own.decimal('rope.freq_base') ?? 10_000,
    rotated: rotatedOf(own, architecture, headDim),
    ropeScaling: ropeScaling(own, facts),
    window,
    experts,
    facts,
  };
}

function refuseOtherKeys(own: OwnMetadata, { name, norm, keys = [], models }: GgufArchitecture): void {
  const epsilon = norm === 'rms' ? 'attention.layer_norm_rms_epsilon' : 'attention.layer_norm_epsilon';
  const mixes = models.some(({ experts }) => experts) ? ['expert_count', 'expert_used_count'] : [];
  const read = new Set([...READ, epsilon, ...keys, ...mixes]);
  for (const key of own.reader.metadata.keys()) {
    if (!key.startsWith(`${name}.`)) continue;
    const last = key.slice(name.length + 1);
    if (read.has(last) || HARMLESS.has(last)) continue;
    const allowed = Object.hasOwn(ALLOWED, last) ? ALLOWED[last] : undefined;
    if (allowed === undefined) throw own.unsupported(last, 'is not known, and may change what the model computes');
    const value = typeof allowed === 'boolean' ? own.flag(last) : own.integer(last);
    if (value !== allowed) throw own.unsupported(last, `is ${value}; only ${allowed} is supported`);
  }
}

/** llama.cpp writes Mistral as Llama; the one trace is a window, where a writer left it. Mixtral's are its experts. */
function modelTypeOf(
  own: OwnMetadata,
  { models }: GgufArchitecture,
  { window, experts }: { readonly window: number; readonly experts: boolean },
): ModelType {
  if (experts) return models.find((candidate) => candidate.experts)!;
  const dense = models.filter((candidate) => !candidate.experts);
  if (dense.length === 1) return dense[0]!;
  const model = dense.find(({ slides = false }) => slides === window > 0);
  if (model === undefined) throw own.unsupported('attention.sliding_window', `is ${window}; only 0 is supported`);
  return model;
}

function expertsOf(own: OwnMetadata, { models }: GgufArchitecture): GgufNumbers['experts'] {
  if (!models.some(({ experts }) => experts)) return undefined;
  const count = own.reader.integer(own.key('expert_count'), MAX_EXPERTS) ?? 0;
  if (count === 0) return undefined;
  return { count, perToken: own.required('expert_used_count', own.integer('expert_used_count')) };
}

function headDimOf(own: OwnMetadata, { heads, hidden }: { readonly heads: number; readonly hidden: number }): number {
  const size = own.integer('attention.key_length') ?? hidden / heads;
  if (!Number.isSafeInteger(size) || size < 1) {
    throw own.wrong('attention.head_count', `is ${heads}, which does not divide embedding_length ${hidden}`);
  }
  refuseOtherLength(own, 'attention.value_length', size);
  return size;
}

function refuseOtherLength(own: OwnMetadata, key: string, size: number): void {
  const length = own.integer(key) ?? size;
  if (length !== size) throw own.unsupported(key, `is ${length}, and the heads have ${size} columns`);
}

function rotatedOf(own: OwnMetadata, { rotation }: GgufArchitecture, headDim: number): number {
  if (rotation === 'whole') refuseOtherLength(own, 'rope.dimension_count', headDim);
  return rotation === 'none' ? 0 : (own.integer('rope.dimension_count') ?? headDim);
}

function ropeScaling(own: OwnMetadata, { llama3, longRope }: TensorFacts): Config | null {
  const factor = own.decimal('rope.scaling.factor') ?? own.decimal('rope.scale_linear') ?? 1;
  // llama.cpp takes a factor without a type for a linear one.
  const type = own.text('rope.scaling.type') ?? 'linear';
  if (type !== 'none' && type !== 'linear' && !(type === 'longrope' && longRope !== undefined)) {
    throw own.unsupported('rope.scaling.type', `is ${quoted(type)}; none and linear are supported`);
  }
  const linear = type === 'linear' && factor !== 1 && factor !== 0;
  if (linear && llama3 !== undefined) {
    throw own.unsupported('rope.scaling.factor', 'is given beside the tensor rope_freqs.weight');
  }
  if (linear) return { factor, rope_type: 'linear', type: 'linear' };
  if (llama3 === undefined) return null;
  return {
    factor: llama3.factor,
    high_freq_factor: llama3.highFrequencyFactor,
    low_freq_factor: llama3.lowFrequencyFactor,
    original_max_position_embeddings: llama3.originalContext,
    rope_type: 'llama3',
  };
}

function tokenIds({ reader }: OwnMetadata): Record<string, number> {
  return Object.fromEntries(
    ['bos_token_id', 'eos_token_id'].flatMap((name) => {
      const id = reader.tokenId(`tokenizer.ggml.${name}`);
      return id === undefined ? [] : [[name, id]];
    }),
  );
}
