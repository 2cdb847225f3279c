import { engine, type Tensor } from '@tensorflow/tfjs-core';

/**
 * The gradients of Σ upstream · f() with respect to each of `inputs`, tensors that f reads; undefined for one that the result
 * does not depend on (an expert that got no token). Reverse mode over a tape of f: `enableGradients` must have run.
 */
export function vectorJacobian(
  f: () => Tensor,
  inputs: readonly Tensor[],
  upstream: Tensor,
): readonly (Tensor | undefined)[] {
  const { value, grads } = engine().gradients(f, [...inputs], upstream, true);
  value.dispose();
  return grads;
}

/** f(), a scalar, and its gradients with respect to each of `inputs`, as `vectorJacobian` has them. The caller disposes all. */
export function valueAndGradients(
  f: () => Tensor,
  inputs: readonly Tensor[],
): { readonly value: Tensor; readonly gradients: readonly (Tensor | undefined)[] } {
  const { value, grads } = engine().gradients(f, [...inputs], undefined, true);
  return { value, gradients: grads };
}
