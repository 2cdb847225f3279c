import { quoted } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { GgufArchitecture, ModelType } from './architecture.js';
import { blockConfig, blockSizes, mostHeads } from './block-sizes.js';
import type { Llama3Scaling } from './llama3-rope.js';
import type { MetadataReader } from './metadata-reader.js';

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
}

/** A config.json of the Llama family, keys in order. */
export interface Config {
  readonly head_dim: number;
  readonly max_position_embeddings: number;
  readonly num_attention_heads: number;
  /** null where blocks have their own; see `blockSizes`. */
  readonly num_key_value_heads: number | null;
  readonly rope_theta: number;
  readonly [key: string]: unknown;
}

/** Keys of an architecture (without its prefix) that say nothing about what the model computes. */
const HARMLESS = new Set(['tensor_data_layout', 'vocab_size']);
/** Keys that are read here. */
const READ = new Set([
  ...['context_length', 'embedding_length', 'block_count', 'feed_forward_length', 'attention.head_count'],
  ...['attention.head_count_kv', 'attention.key_length', 'attention.value_length', 'attention.sliding_window'],
  ...['attention.layer_norm_rms_epsilon', 'rope.dimension_count', 'rope.freq_base', 'rope.scaling.type'],
  ...['rope.scaling.factor', 'rope.scaling.original_context_length', 'rope.scale_linear'],
]);
/** Keys that would change what the model computes, and the value at which they do not. */
const ALLOWED: Readonly<Record<string, number | boolean>> = {
  expert_count: 0,
  expert_used_count: 0,
  'attention.causal': true,
};

/**
 * Returns the config.json of a GGUF's model. Throws `unreadable` for numbers that are missing or of another type,
 * `unsupported` for a key that asks for what no such config can say.
 */
export function configFromGguf(reader: MetadataReader, architecture: GgufArchitecture, facts: TensorFacts): Config {
  const key = (name: string) => `${architecture.name}.${name}`;
  refuseOtherKeys(reader, architecture);
  const required = (name: string) => reader.required(key(name), reader.sameForAllBlocks(key(name)));
  const sizes = architecture.perBlock ? blockSizes(reader, architecture) : undefined;
  const heads = sizes === undefined ? required('attention.head_count') : mostHeads(reader, architecture, sizes);
  const kvHeads = sizes === undefined ? (reader.sameForAllBlocks(key('attention.head_count_kv')) ?? heads) : null;
  const hidden = required('embedding_length');
  const model = modelTypeOf(reader, architecture);
  const window = reader.integer(key('attention.sliding_window'));
  const name = reader.text('general.name');
  return {
    ...(name !== undefined && { _name_or_path: name }),
    architectures: [model.className],
    attention_bias: facts.attentionBias,
    ...tokenIds(reader),
    head_dim: headDim(reader, architecture, { heads, hidden }),
    hidden_act: 'silu',
    hidden_size: hidden,
    intermediate_size: sizes === undefined ? required('feed_forward_length') : null,
    max_position_embeddings: required('context_length'),
    mlp_bias: facts.mlpBias,
    model_type: model.modelType,
    num_attention_heads: heads,
    num_hidden_layers: required('block_count'),
    num_key_value_heads: kvHeads,
    rms_norm_eps: reader.required(
      key('attention.layer_norm_rms_epsilon'),
      reader.decimal(key('attention.layer_norm_rms_epsilon')),
    ),
    rope_scaling: ropeScaling(reader, architecture, facts),
    rope_theta: reader.decimal(key('rope.freq_base')) ?? 10_000,
    ...(model.slides && { sliding_window: window ?? null }),
    tie_word_embeddings: !facts.hasHead,
    torch_dtype: facts.torchDtype,
    vocab_size: facts.vocabulary,
    ...(sizes !== undefined && { block_configs: sizes.map((block) => blockConfig(block, heads)) }),
  };
}

function refuseOtherKeys(reader: MetadataReader, { name }: GgufArchitecture): void {
  for (const key of reader.metadata.keys()) {
    if (!key.startsWith(`${name}.`)) continue;
    const own = key.slice(name.length + 1);
    if (READ.has(own) || HARMLESS.has(own)) continue;
    const allowed = Object.hasOwn(ALLOWED, own) ? ALLOWED[own] : undefined;
    if (allowed === undefined) {
      throw reader.unsupported(key, 'is not known, and may change what the model computes');
    }
    const value = typeof allowed === 'boolean' ? reader.flag(key) : reader.integer(key);
    if (value !== allowed) throw reader.unsupported(key, `is ${value}; only ${allowed} is supported`);
  }
}

/** llama.cpp writes Mistral as Llama; the one trace is a window, where a writer left it. */
function modelTypeOf(reader: MetadataReader, { name, models }: GgufArchitecture): ModelType {
  const window = reader.integer(`${name}.attention.sliding_window`) ?? 0;
  const model = models.find(({ slides }) => slides === window > 0);
  if (model === undefined)
    throw reader.unsupported(`${name}.attention.sliding_window`, `is ${window}; only 0 is supported`);
  return model;
}

function headDim(
  reader: MetadataReader,
  { name }: GgufArchitecture,
  { heads, hidden }: { readonly heads: number; readonly hidden: number },
): number {
  const keyLength = reader.integer(`${name}.attention.key_length`);
  const size = keyLength ?? hidden / heads;
  if (!Number.isSafeInteger(size) || size < 1) {
    throw reader.wrong(`${name}.attention.head_count`, `is ${heads}, which does not divide embedding_length ${hidden}`);
  }
  for (const other of ['attention.value_length', 'rope.dimension_count']) {
    const length = reader.integer(`${name}.${other}`) ?? size;
    if (length !== size)
      throw reader.unsupported(`${name}.${other}`, `is ${length}, and the heads have ${size} columns`);
  }
  return size;
}

function ropeScaling(
  reader: MetadataReader,
  { name }: GgufArchitecture,
  { llama3 }: TensorFacts,
): Record<string, unknown> | null {
  const factor = reader.decimal(`${name}.rope.scaling.factor`) ?? reader.decimal(`${name}.rope.scale_linear`) ?? 1;
  // llama.cpp takes a factor without a type for a linear one.
  const type = reader.text(`${name}.rope.scaling.type`) ?? 'linear';
  if (type !== 'none' && type !== 'linear') {
    throw reader.unsupported(`${name}.rope.scaling.type`, `is ${quoted(type)}; none and linear are supported`);
  }
  const linear = type === 'linear' && factor !== 1 && factor !== 0;
  if (linear && llama3 !== undefined) {
    throw reader.unsupported(`${name}.rope.scaling.factor`, 'is given beside the tensor rope_freqs.weight');
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

function tokenIds(reader: MetadataReader): Record<string, number> {
  const ids = { bos_token_id: 'bos_token_id', eos_token_id: 'eos_token_id' };
  return Object.fromEntries(
    Object.entries(ids).flatMap(([name, key]) => {
      const id = reader.tokenId(`tokenizer.ggml.${key}`);
      return id === undefined ? [] : [[name, id]];
    }),
  );
}

/** A file whose tensors cannot be what its metadata says. */
export function unusableTensor(file: string, tensor: string, problem: string): BirdboneError {
  return new BirdboneError('unreadable', `Cannot use tensor ${tensor} of ${file}: ${problem}.`, { file, tensor });
}
