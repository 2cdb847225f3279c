import type { RopeOrder } from './rope-rows.js';

/**
 * What one `general.architecture` of GGUF means in Hugging Face's terms, as data. `{i}` in a name stands for the block's index.
 * A name without an ending stands for its `.weight` and, where there is one, its `.bias`.
 */
export interface GgufArchitecture {
  /** `general.architecture`, and the prefix of its metadata keys. */
  readonly name: string;
  /** The `model_type`s of config.json that are written as it, the plainest first. */
  readonly models: readonly ModelType[];
  /** How llama.cpp wants the rows of query and key. */
  readonly ropeOrder: RopeOrder;
  readonly tensors: readonly TensorNames[];
  /** Whether a tensor `rope_freqs.weight` may say how Llama 3 scales its frequencies. */
  readonly hasRopeFactors: boolean;
  /** Its blocks may differ: heads and widths are arrays with an entry for each block, 0 where a block lacks that half. */
  readonly perBlock?: true;
}

export interface ModelType {
  readonly modelType: string;
  readonly className: string;
  /** Attends through a window of `sliding_window` tokens. */
  readonly slides: boolean;
}

export interface TensorNames {
  readonly gguf: string;
  readonly huggingFace: string;
  /** Whose heads the rows belong to, for the tensors that rotary embedding turns. */
  readonly heads?: 'query' | 'key';
}

/** A stored name taken apart: the row it belongs to and what fills the gaps. */
export interface FoundName {
  readonly row: TensorNames;
  readonly block: number | undefined;
  readonly ending: 'weight' | 'bias';
}

/** Makes a name of a row in one of the two spellings. */
export function nameOf({ row, block, ending }: FoundName, spelling: 'gguf' | 'huggingFace'): string {
  return `${row[spelling].replace('{i}', String(block))}.${ending}`;
}

/** Takes a name apart; undefined for a name that no row has. */
export function findName(
  architecture: GgufArchitecture,
  spelling: 'gguf' | 'huggingFace',
  name: string,
): FoundName | undefined {
  const match = /^(.+)\.(weight|bias)$/.exec(name);
  if (match === null) return undefined;
  const [, stem = '', ending] = match as unknown as [string, string, 'weight' | 'bias'];
  // "blk.00." would be a second name of the tensor "blk.0.".
  const block = /\.(0|[1-9]\d{0,8})\./.exec(stem)?.[1];
  const template = block === undefined ? stem : stem.replace(`.${block}.`, '.{i}.');
  const row = architecture.tensors.find((candidate) => candidate[spelling] === template);
  return row === undefined ? undefined : { row, block: block === undefined ? undefined : Number(block), ending };
}
