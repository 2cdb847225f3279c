import { add, mean, mul, rsqrt, square, type Tensor1D, type Tensor2D } from '@tensorflow/tfjs-core';
import { runOperation } from '../kernels.js';

/** x [n, h] / √(mean(x²) + ε) · gain [h] → [n, h]. Source: Zhang & Sennrich 2019, "Root Mean Square Layer Normalization". */
export function rmsNorm(x: Tensor2D, gain: Tensor1D, epsilon: number): Tensor2D {
  return runOperation('birdbone.RmsNorm', {
    inputs: { x, gain },
    attributes: { epsilon },
    compose: () => mul(mul(x, rsqrt(add(mean(square(x), -1, true), epsilon))), gain) as Tensor2D,
  });
}
