import { mul, sigmoid, type Tensor2D } from '@tensorflow/tfjs-core';
import { runOperation } from '../kernels.js';

/** silu(gate) · up, both [n, f] → [n, f]. Source: Shazeer 2020, "GLU Variants Improve Transformer". */
export function swiglu(gate: Tensor2D, up: Tensor2D): Tensor2D {
  return runOperation('birdbone.Swiglu', {
    inputs: { gate, up },
    compose: () => mul(mul(gate, sigmoid(gate)), up) as Tensor2D,
  });
}
