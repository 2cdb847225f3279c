import type { BlockDtype } from '../tensor/index.js';

/** The block types that floats can be encoded in. */
export type EncodableDtype = Exclude<BlockDtype, 'IQ4_NL' | 'IQ4_XS'>;

/** Where a row's blocks go. */
export interface RowTarget {
  readonly bytes: Uint8Array;
  readonly at: number;
}

/** One of ggml's block types, as something that floats are written in. */
export interface GgmlEncoder {
  readonly dtype: EncodableDtype;
  /**
   * Writes the blocks of one row of finite values. `weights`, one for each column and none negative, say how much an error in
   * that column counts (the mean square of what the column is multiplied with); without them ggml's own guess is used.
   */
  encodeRow(row: Float32Array, weights: Float32Array | undefined, target: RowTarget): void;
}
