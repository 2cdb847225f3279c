import { add, concat, mul, neg, slice, type Tensor2D, type Tensor4D } from '@tensorflow/tfjs-core';
import { runOperation } from '../kernels.js';

/**
 * Rotates each head's pairs (i, i + d/2) by its position's angle: x [b, heads, t, d], cos and sin [t, d] (the d/2 angles twice)
 * → [b, heads, t, d]. The half-split order of Hugging Face checkpoints. Source: Su et al. 2021, "RoFormer".
 */
export function rotary(x: Tensor4D, cos: Tensor2D, sin: Tensor2D): Tensor4D {
  return runOperation('birdbone.Rotary', {
    inputs: { x, cos, sin },
    compose: () => {
      const half = x.shape[3] / 2;
      const [b, h, t] = x.shape;
      const first = slice(x, [0, 0, 0, 0], [b, h, t, half]);
      const second = slice(x, [0, 0, 0, half], [b, h, t, half]);
      return add(mul(x, cos), mul(concat([neg(second), first], 3), sin)) as Tensor4D;
    },
  });
}
