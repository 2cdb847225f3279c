import { square, sum, type Tensor1D, type Tensor2D } from '@tensorflow/tfjs-core';
import { runOperation } from '../kernels.js';

/** Σ over rows of x² per column: x [n, in] → [in]. Wanda's ‖X_j‖² over one batch. */
export function columnSquares(x: Tensor2D): Tensor1D {
  return runOperation('birdbone.ColumnSquares', {
    inputs: { x },
    compose: () => sum(square(x), 0) as Tensor1D,
  });
}
