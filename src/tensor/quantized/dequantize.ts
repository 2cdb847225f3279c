import { type BlockDtype, DTYPES } from '../dtype.js';
import { dequantizeIq4Nl, dequantizeIq4Xs } from './iq4.js';
import { dequantizeQ4K, dequantizeQ5K, dequantizeQ6K } from './k-quants.js';
import { dequantizeQ2K, dequantizeQ3K } from './k-quants-low.js';
import { dequantizeQ40, dequantizeQ41, dequantizeQ50, dequantizeQ51, dequantizeQ80 } from './legacy.js';

/** Writes the values of whole blocks, in order. Every output is rounded to float32 once: see each family for why that is ggml's. */
type Dequantizer = (blocks: Uint8Array, values: Float32Array) => void;

const DEQUANTIZERS: Readonly<Record<BlockDtype, Dequantizer>> = {
  Q4_0: dequantizeQ40,
  Q4_1: dequantizeQ41,
  Q5_0: dequantizeQ50,
  Q5_1: dequantizeQ51,
  Q8_0: dequantizeQ80,
  Q2_K: dequantizeQ2K,
  Q3_K: dequantizeQ3K,
  Q4_K: dequantizeQ4K,
  Q5_K: dequantizeQ5K,
  Q6_K: dequantizeQ6K,
  IQ4_NL: dequantizeIq4Nl,
  IQ4_XS: dequantizeIq4Xs,
};

/**
 * The values of whole blocks, bit for bit those of ggml's `dequantize_row_*` (NaN payloads apart). Throws a RangeError for a
 * part of a block. Source: ggml-org/ggml, src/ggml-quants.c and src/ggml-common.h.
 */
export function dequantize(blocks: Uint8Array, dtype: BlockDtype): Float32Array {
  const { blockBytes, blockElements } = DTYPES[dtype];
  if (blocks.length % blockBytes !== 0) {
    throw new RangeError(`${blocks.length} bytes are no whole number of ${dtype} blocks of ${blockBytes}.`);
  }
  const values = new Float32Array((blocks.length / blockBytes) * blockElements);
  DEQUANTIZERS[dtype](blocks, values);
  return values;
}
