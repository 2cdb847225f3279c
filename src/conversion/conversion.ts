import type { Report } from '../events.js';
import type { Dtype } from '../tensor/index.js';
import type { CastCounts, CastTarget } from '../translation/index.js';

export interface ConvertOptions {
  /** A Hugging Face folder, or one file of any readable format. */
  readonly model: string;
  /** A file that ends in .gguf, or a folder for safetensors; must not exist. */
  readonly out: string;
  /** What weights become; by default each keeps its type. */
  readonly dtype?: CastTarget;
  /** A mix of ggml's block types (see `mixOf`), in place of `dtype`; for a GGUF only. */
  readonly mix?: string;
  /** An importance matrix of llama.cpp's, which says how much an error in each column counts; with `mix` only. */
  readonly imatrix?: string;
  readonly maxShardBytes?: number;
  /** Say what would be written, and write nothing. */
  readonly dryRun?: boolean;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/** What a cast changed; nothing of it is silent. */
export interface CastReport {
  /** What was asked for. */
  readonly dtype?: CastTarget;
  readonly total: CastCounts;
  /** The tensors in which a value changed. */
  readonly tensors: Readonly<Record<string, CastCounts>>;
}

/** A conversion as it was done, or with `dryRun` would be. */
export interface Conversion {
  readonly model: string;
  readonly out: string;
  readonly written: boolean;
  readonly from: string;
  readonly to: 'gguf' | 'safetensors';
  /** Of all tensors, as they are written. */
  readonly bytes: number;
  /** The mix of block types, and the bits that an element takes with it, all tensors counted. */
  readonly mix?: string;
  readonly bitsPerWeight?: number;
  readonly tensors: readonly {
    readonly name: string;
    readonly from: Dtype;
    readonly to: Dtype;
    readonly shape: readonly number[];
    readonly bytes: number;
  }[];
  /** Absent for a dry run, which reads no weights, and where no tensor changes its type. */
  readonly cast?: CastReport;
  /** How the tokenizer that was written compares with the one that was read, on texts that hold every piece. */
  readonly tokenizer?: { readonly texts: number; readonly differing: number };
  /** What the source says and the target cannot, one sentence each. */
  readonly lost: readonly string[];
}
