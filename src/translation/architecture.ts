import type { GgufValue } from '../checkpoint/gguf/value.js';
import type { DecoderNumbers } from './config-to-gguf.js';
import type { Config, GgufNumbers } from './gguf-numbers.js';
import type { OwnMetadata } from './own-metadata.js';
import type { RopeOrder } from './rope-rows.js';

/**
 * What one `general.architecture` of GGUF means in Hugging Face's terms, as data. `{i}` in a name stands for the block's index, `{e}`
 * for the expert's. A name without an ending stands for its `.weight` and, where there is one, its `.bias`. The functions at the end
 * are for what is truly different.
 */
export interface GgufArchitecture {
  /** `general.architecture`, and the prefix of its metadata keys. */
  readonly name: string;
  /** The `model_type`s of config.json that are written as it, the plainest first. */
  readonly models: readonly ModelType[];
  /** How llama.cpp wants the rows of query and key. */
  readonly ropeOrder: RopeOrder;
  readonly norm: 'rms' | 'layer';
  /** How much of a head is turned: all of it, a part that `rope.dimension_count` names, nothing. */
  readonly rotation: 'whole' | 'partial' | 'none';
  readonly tensors: readonly TensorNames[];
  /** Hugging Face's names may be stored with or without this beginning; `tensors` have it. */
  readonly optionalPrefix?: string;
  /** Whether a tensor `rope_freqs.weight` may say how Llama 3 scales its frequencies. */
  readonly hasRopeFactors?: true;
  /** Whether `rope_factors_long.weight` and `rope_factors_short.weight` may say what LongRoPE divides them by. */
  readonly hasLongRope?: true;
  /** Its blocks may differ: heads and widths are arrays with an entry for each block, 0 where a block lacks that half. */
  readonly perBlock?: true;
  /** Heads together are as wide as the residual stream: llama.cpp takes the one for the other. */
  readonly squareHeads?: true;
  /** llama.cpp slides the windows that the metadata name; in others every block looks back over the whole context. */
  readonly heedsWindows?: true;
  /** What a description in words calls the activation that llama.cpp computes, by the decoder's names for them. */
  readonly activation: 'silu' | 'gelu-tanh';
  /** Keys of its own metadata (without the prefix) that are read beside those that every architecture has. */
  readonly keys?: readonly string[];
  /** Its own metadata, beside those that every architecture has. */
  readonly metadata?: (decoder: DecoderNumbers) => Readonly<Record<string, GgufValue>>;
  /** The config.json of a model of it. */
  readonly config: (numbers: GgufNumbers, own: OwnMetadata) => Config;
  /** Why llama.cpp would not run a model as it is: the end of a sentence, undefined where it would. */
  readonly refusal?: (decoder: DecoderNumbers) => string | undefined;
}

export interface ModelType {
  readonly modelType: string;
  readonly className: string;
  /** Attends through a window of `sliding_window` tokens, where its architecture has both kinds. */
  readonly slides?: true;
  /** Its FFNs are choices of experts. */
  readonly experts?: true;
}

export interface TensorNames {
  readonly gguf: string;
  readonly huggingFace: string;
  /** Whose heads the rows belong to, for the tensors that rotary embedding turns. */
  readonly heads?: 'query' | 'key';
  /** What else is different in a GGUF; the weight alone, unless it says otherwise. */
  readonly form?: TensorForm;
  /** llama.cpp has no bias of it. */
  readonly noBias?: true;
}

/**
 * `transposed`: Hugging Face stores [in, out]. `plus-one`: a gain that stands for 1 + what is stored there. `dealt`: q, k and v are
 * dealt out head by head there, bias and all. `experts`: one tensor for each expert there, one for all here.
 */
export type TensorForm = 'transposed' | 'plus-one' | 'dealt' | 'experts';

/** A stored name taken apart: the row it belongs to and what fills the gaps. */
export interface FoundName {
  readonly row: TensorNames;
  readonly block: number | undefined;
  readonly ending: 'weight' | 'bias';
}

/** Makes a name of a row in one of the two spellings; of an expert's, with its number. */
export function nameOf({ row, block, ending }: FoundName, spelling: 'gguf' | 'huggingFace', expert?: number): string {
  return `${row[spelling].replace('{i}', String(block)).replace('{e}', String(expert))}.${ending}`;
}

/** Takes a GGUF's name apart; undefined for a name that no row has. */
export function findName(architecture: GgufArchitecture, name: string): FoundName | undefined {
  const match = /^(.+)\.(weight|bias)$/.exec(name);
  if (match === null) return undefined;
  const [, stem = '', ending] = match as unknown as [string, string, 'weight' | 'bias'];
  // "blk.00." would be a second name of the tensor "blk.0.".
  const block = /\.(0|[1-9]\d{0,8})\./.exec(stem)?.[1];
  const template = block === undefined ? stem : stem.replace(`.${block}.`, '.{i}.');
  const row = architecture.tensors.find(({ gguf, noBias }) => gguf === template && !(noBias && ending === 'bias'));
  return row === undefined ? undefined : { row, block: block === undefined ? undefined : Number(block), ending };
}
