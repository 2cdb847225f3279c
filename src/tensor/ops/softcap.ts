import { mul, type Tensor, tanh, tidy } from '@tensorflow/tfjs-core';

/** cap · tanh(x / cap), element by element: what stays within ±cap. Source: Gemma Team 2024, "Gemma 2", section 2. */
export function softcap<X extends Tensor>(x: X, cap: number): X {
  return tidy(() => mul(tanh(mul(x, 1 / cap)), cap) as X);
}
