import { type Dtype, decodeToF32 } from '../tensor/index.js';
import { encodeRows } from './encode-rows.js';
import type { EncodableDtype } from './encoder.js';

/** Rows of stored values that are to be encoded. */
export interface EncodeJob {
  /** Whole rows of packed elements, or of blocks. */
  readonly bytes: Uint8Array;
  readonly from: Dtype;
  readonly to: EncodableDtype;
  readonly columns: number;
  /** See `encodeRows`. */
  readonly weights?: Float32Array;
}

/** Returns the blocks of a job. Throws as `encodeRows` and `decodeToF32`. */
export function encodeJob({ bytes, from, to, columns, weights }: EncodeJob): Uint8Array<ArrayBuffer> {
  return encodeRows(to, decodeToF32(bytes, from), columns, weights);
}
