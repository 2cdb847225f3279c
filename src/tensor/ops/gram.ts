import { matMul, type Tensor2D } from '@tensorflow/tfjs-core';
import { runOperation } from '../kernels.js';

export interface GramOptions {
  /** Whether elements below the diagonal are wanted too; else what is there is undefined. */
  readonly mirrored?: boolean;
}

/** xᵀ · x of x [n, c] → [c, c], summed in float32. */
export function gram(x: Tensor2D, { mirrored = false }: GramOptions = {}): Tensor2D {
  return runOperation('birdbone.Gram', {
    inputs: { x },
    attributes: { mirrored },
    compose: () => matMul(x, x, true, false) as Tensor2D,
  });
}
