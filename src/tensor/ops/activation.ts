import { add, erf, mul, sigmoid, type Tensor2D, tanh, tidy } from '@tensorflow/tfjs-core';
import { runOperation } from '../kernels.js';
import { swiglu } from './swiglu.js';

export type ActivationKind = 'silu' | 'gelu' | 'gelu-tanh';

/**
 * x [n, f] → [n, f]. `gelu` is x · Φ(x), `gelu-tanh` its approximation 0.5x(1 + tanh(√(2/π)(x + 0.044715x³))).
 * Source: Hendrycks & Gimpel 2016, "Gaussian Error Linear Units".
 */
export function activate(x: Tensor2D, kind: ActivationKind): Tensor2D {
  return runOperation('birdbone.Activation', {
    inputs: { x },
    attributes: { kind },
    compose: () => composed(x, kind) as Tensor2D,
  });
}

/** activation(gate) · up, both [n, f] → [n, f]. Source: Shazeer 2020, "GLU Variants Improve Transformer". */
export function activateGated(gate: Tensor2D, up: Tensor2D, kind: ActivationKind): Tensor2D {
  return kind === 'silu' ? swiglu(gate, up) : tidy(() => mul(activate(gate, kind), up));
}

function composed(x: Tensor2D, kind: ActivationKind) {
  if (kind === 'silu') return mul(x, sigmoid(x));
  const half = mul(x, 0.5);
  if (kind === 'gelu') return mul(half, add(erf(mul(x, Math.SQRT1_2)), 1));
  const cubic = mul(mul(mul(x, x), x), 0.044715);
  return mul(half, add(tanh(mul(add(x, cubic), Math.sqrt(2 / Math.PI))), 1));
}
