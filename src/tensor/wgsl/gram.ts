import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { WgslKernel } from './kernel.js';
import { multiply, type Side } from './multiply.js';

/**
 * `gram` (ops/gram.ts): xᵀ · x of x [n, c], of which only the tiles on and above the diagonal are computed: half of a product's
 * 2 · n · c² FLOP and the tiles on the diagonal. Mirrored on request, as they are written.
 */
export const gramKernel: WgslKernel = {
  operation: 'birdbone.Gram',
  run({ inputs, attributes }, gpu) {
    const { x } = inputs as { x: TensorInfo };
    const [n, c] = x.shape as [number, number];
    const side: Side = { tensor: x, order: 'depth-by-depth', format: 'f32', step: 0 };
    return multiply(gpu, {
      left: side,
      right: side,
      shape: { batch: 1, m: c, n: c, k: n },
      result: [c, c],
      triangle: attributes['mirrored'] === true ? 'mirrored' : 'upper',
    });
  },
};
