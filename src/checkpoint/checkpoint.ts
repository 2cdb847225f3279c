import type { Dtype } from '../tensor/dtype.js';

/** One stored tensor: everything about it but its bytes. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/** Bytes of one tensor that are to be read. */
export interface ReadRange {
  readonly offset: number;
  readonly length: number;
  /** Memory that the caller has to spare, for new memory takes the system as long as the bytes do: whoever has no use for it leaves it. */
  readonly into?: Uint8Array;
}

/**
 * A model's weights, bytes on demand. Readers, overlays and in-memory fixtures all look like this, and nothing above the
 * checkpoint folder knows which one it has.
 */
export interface Checkpoint {
  /** The folder or file it was opened from; what error messages name. */
  readonly path: string;
  readonly format: string;
  /** Stored tensors by name, in name order. An alias is not among them. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Alias → stored name (tied weights that the file's `__metadata__` records). */
  readonly aliases: ReadonlyMap<string, string>;
  /** The file's own string metadata (`__metadata__`), aliases included. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * Where each tensor's bytes start in the file, for a checkpoint of one file that holds them in one piece, as `read` gives
   * them; absent otherwise. Who wants the whole file and its tensors can then read it once.
   */
  readonly starts?: ReadonlyMap<string, number>;
  /**
   * Texts that go with the weights, by file name: config.json and the tokenizer's, for a checkpoint that holds them inside. Those
   * of a folder lie in the folder.
   */
  readonly companions?: ReadonlyMap<string, string>;
  /** Files of the folder that fit these weights no more, by name: they do not go along when the checkpoint is written. */
  readonly outdated?: readonly string[];
  /** What is odd about it and changes no value, one sentence each. */
  readonly notices?: readonly string[];
  /**
   * Reads bytes `[offset, offset + length)` of one tensor; the whole of it by default. Takes aliases too. The array is the
   * caller's own; the bytes may be put into `into`, which is at least as long, and then it is a part of that. Throws `unreadable` for
   * a name that is not stored and a file that changed, RangeError for a range outside.
   */
  read(name: string, range?: ReadRange): Promise<Uint8Array>;
  /**
   * Has the system bring a tensor's bytes into its cache of files, ahead of `read`; keeps none of them here. Takes any name and never
   * throws. Absent where the bytes do not come from files.
   */
  prefetch?(name: string): Promise<void>;
  /** Closes the files. Reading afterwards throws. */
  close(): Promise<void>;
}
