import { BirdboneError } from '../errors.js';
import { DTYPES } from '../tensor/index.js';
import { q2_k, q4_k, q5_k } from './affine-k-types.js';
import type { EncodableDtype, GgmlEncoder } from './encoder.js';
import { q4_0, q4_1, q5_0, q5_1, q8_0 } from './simple-blocks.js';
import { q3_k, q6_k } from './symmetric-k.js';

/** Every block type that floats can be encoded in. A new one is a file and a place here. */
export const ggmlEncoders: Readonly<Record<EncodableDtype, GgmlEncoder>> = {
  Q8_0: q8_0,
  Q4_0: q4_0,
  Q4_1: q4_1,
  Q5_0: q5_0,
  Q5_1: q5_1,
  Q6_K: q6_k,
  Q5_K: q5_k,
  Q4_K: q4_k,
  Q3_K: q3_k,
  Q2_K: q2_k,
};

export function isEncodable(dtype: string): dtype is EncodableDtype {
  return Object.hasOwn(ggmlEncoders, dtype);
}

/** The largest half: a scale may need to be as large as a value (the minimum of Q4_1 is one), and no weight of a model is. */
const LARGEST_VALUE = 65_504;

/**
 * The blocks of rows of `columns` float32 values, rows one after the other, as `decodeToF32` reads them. `weights`, one for each
 * column, say how much an error in the column counts; without them ggml's own guess is used. The same input gives the same bytes on
 * every machine, which are those of ggml's `ggml_quantize_chunk`.
 *
 * Throws `unsupported` for NaN, infinities and values beyond 65,504, which no block can hold; a RangeError for rows that are no
 * whole number of blocks, and for weights that are not `columns` finite numbers of at least 0.
 */
export function encodeRows(
  dtype: EncodableDtype,
  values: Float32Array,
  columns: number,
  weights?: Float32Array,
): Uint8Array<ArrayBuffer> {
  const { blockElements, blockBytes } = DTYPES[dtype];
  if (columns <= 0 || columns % blockElements !== 0 || values.length % columns !== 0) {
    throw new RangeError(
      `${values.length} values in rows of ${columns} are no rows of ${dtype} blocks of ${blockElements}.`,
    );
  }
  if (weights !== undefined && (weights.length !== columns || weights.some((w) => !(w >= 0 && w < Infinity)))) {
    throw new RangeError(`The weights of ${columns} columns must be as many finite numbers, none below 0.`);
  }
  refuseUnfit(values, dtype);
  const { encodeRow } = ggmlEncoders[dtype];
  const rowBytes = (columns / blockElements) * blockBytes;
  const rows = values.length / columns;
  const bytes = new Uint8Array(rows * rowBytes);
  for (let row = 0; row < rows; row += 1) {
    encodeRow(values.subarray(row * columns, (row + 1) * columns), weights, { bytes, at: row * rowBytes });
  }
  return bytes;
}

/** Throws `unsupported` for NaN, infinities and values that no block can hold. */
export function refuseUnfit(values: Float32Array, dtype: EncodableDtype): void {
  for (let i = 0; i < values.length; i += 1) {
    if (Math.abs(values[i]!) <= LARGEST_VALUE) continue;
    throw new BirdboneError('unsupported', `A value of ${values[i]} cannot be stored in blocks of ${dtype}.`, {
      suggestions: ['Keep the tensor in a float type.'],
    });
  }
}
