import { mul, sigmoid, type Tensor2D, tidy } from '@tensorflow/tfjs-core';

/** silu(gate) · up, both [n, f] → [n, f]. Source: Shazeer 2020, "GLU Variants Improve Transformer". */
export function swiglu(gate: Tensor2D, up: Tensor2D): Tensor2D {
  return tidy(() => mul(mul(gate, sigmoid(gate)), up) as Tensor2D);
}
