import { engine, matMul, type Tensor2D } from '@tensorflow/tfjs-core';
import { runOperation } from '../kernels.js';
import type { StoredFormat } from '../packed-weights.js';

/** Rows of a weight as they are stored, two 16-bit floats to a word (`packHalves`). */
export interface StoredRows {
  /** int32 [rows, ⌈columns / 2⌉]. */
  readonly words: Tensor2D;
  readonly format: StoredFormat;
  readonly columns: number;
}

export interface StoredProductOptions {
  /**
   * How many f16 a value of x may be made of where matrix units multiply: 2 (the default) keep 22 of its 24 bits, so that the result
   * is as good as in f32; 1 is f16 · f16, twice as fast, for who rounds x to f16 anyway. Without matrix units f32 is used for both.
   */
  readonly terms?: 1 | 2;
}

/** x [n, columns] · Wᵀ → [n, rows], W as it is stored. Only on a device that `multipliesStored`. */
export function multiplyStored(x: Tensor2D, weight: StoredRows, { terms = 2 }: StoredProductOptions = {}): Tensor2D {
  const { words, format, columns } = weight;
  return runOperation('birdbone.StoredProduct', {
    inputs: { x, words },
    attributes: { format, columns, terms },
    compose: () => matMul(x, widenStored(weight), false, true) as Tensor2D,
  });
}

/** The values as float32 [rows, columns], exactly. No gradient goes through it. Only on a device that `multipliesStored`. */
export function widenStored({ words, format, columns }: StoredRows): Tensor2D {
  return engine().runKernel('birdbone.Widen', { words }, { format, columns });
}
