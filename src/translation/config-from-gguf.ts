import { BirdboneError } from '../errors.js';
import type { GgufArchitecture } from './architecture.js';
import { blockConfig } from './block-sizes.js';
import { type Config, type GgufNumbers, numbersOf, type TensorFacts } from './gguf-numbers.js';
import type { MetadataReader } from './metadata-reader.js';
import { OwnMetadata } from './own-metadata.js';

/** A GGUF's numbers, and the config.json that says the same. */
export interface ReadModel {
  readonly numbers: GgufNumbers;
  readonly config: Config;
}

/**
 * Returns the config.json of a GGUF's model, its keys in alphabetical order. Throws `unreadable` for numbers that are missing or of
 * another type, `unsupported` for a key that asks for what no such config can say.
 */
export function configFromGguf(reader: MetadataReader, architecture: GgufArchitecture, facts: TensorFacts): ReadModel {
  const own = new OwnMetadata(reader, architecture.name);
  const numbers = numbersOf(own, architecture, facts);
  const entries = Object.entries(architecture.config(numbers, own)).filter(([, value]) => value !== undefined);
  return { numbers, config: Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))) };
}

/** What every config.json says, under the same names whatever the architecture. */
export function sharedConfig({ model, name, tokenIds, facts }: GgufNumbers): Config {
  return {
    _name_or_path: name,
    architectures: [model.className],
    ...tokenIds,
    model_type: model.modelType,
    tie_word_embeddings: !facts.hasHead,
    torch_dtype: facts.torchDtype,
    vocab_size: facts.vocabulary,
  };
}

/** The config.json of Llama and most of its kin, without what they say of biases and windows. */
export function decoderConfig(numbers: GgufNumbers): Config {
  const { sizes, heads } = numbers;
  return {
    ...sharedConfig(numbers),
    head_dim: numbers.headDim,
    hidden_act: 'silu',
    hidden_size: numbers.hidden,
    intermediate_size: sizes === undefined ? numbers.ffn : null,
    max_position_embeddings: numbers.context,
    num_attention_heads: heads,
    num_hidden_layers: numbers.blocks,
    num_key_value_heads: sizes === undefined ? numbers.kvHeads : null,
    rms_norm_eps: numbers.epsilon,
    rope_scaling: numbers.ropeScaling,
    rope_theta: numbers.theta,
    ...(sizes !== undefined && { block_configs: sizes.map((block) => blockConfig(block, heads)) }),
  };
}

/** The part of a head that is turned, as config.json says it: so that it times the head is the dimensions again. */
export function rotaryShare({ rotated, headDim }: GgufNumbers): number {
  const share = rotated / headDim;
  return Math.trunc(headDim * share) === rotated ? share : share + Number.EPSILON;
}

/** A file whose tensors cannot be what its metadata says. */
export function unusableTensor(file: string, tensor: string, problem: string): BirdboneError {
  return new BirdboneError('unreadable', `Cannot use tensor ${tensor} of ${file}: ${problem}.`, { file, tensor });
}
