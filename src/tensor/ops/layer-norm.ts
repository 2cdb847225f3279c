import { add, mean, mul, rsqrt, square, sub, type Tensor1D, type Tensor2D } from '@tensorflow/tfjs-core';
import { runOperation } from '../kernels.js';

/**
 * (x − mean(x)) / √(variance(x) + ε) · gain [h] (+ bias [h]) per row of x [n, h] → [n, h]; the variance is over h, not h − 1.
 * Source: Ba et al. 2016, "Layer Normalization".
 */
export function layerNorm(
  x: Tensor2D,
  { gain, bias, epsilon }: { readonly gain: Tensor1D; readonly bias?: Tensor1D; readonly epsilon: number },
): Tensor2D {
  return runOperation('birdbone.LayerNorm', {
    inputs: { x, gain, ...(bias && { bias }) },
    attributes: { epsilon },
    compose: () => {
      const centred = sub(x, mean(x, -1, true));
      const scaled = mul(mul(centred, rsqrt(add(mean(square(centred), -1, true), epsilon))), gain);
      return (bias === undefined ? scaled : add(scaled, bias)) as Tensor2D;
    },
  });
}
