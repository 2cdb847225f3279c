import {
  engine,
  getBackend,
  getKernel,
  type NamedAttrMap,
  type NamedTensorMap,
  type Tensor,
  tidy,
} from '@tensorflow/tfjs-core';

/**
 * Operations that a device may run in one piece. A backend offers one with `registerKernel({ kernelName, backendName, … })`
 * (tfjs's own table, by operation and device); the operation's file in ops/ documents its inputs, attributes and output.
 */
export type OperationKernel =
  | 'birdbone.RmsNorm'
  | 'birdbone.LayerNorm'
  | 'birdbone.Rotary'
  | 'birdbone.CausalAttention'
  | 'birdbone.Swiglu'
  | 'birdbone.Activation'
  | 'birdbone.ColumnSquares'
  | 'birdbone.LogitStatistics'
  | 'birdbone.LogitDivergence';

export interface Operation<Result extends Tensor> {
  readonly inputs: NamedTensorMap;
  readonly attributes?: NamedAttrMap;
  /** The same result from plain tfjs operations: the fallback, the kernel's oracle, and what gradients go through. */
  readonly compose: () => Result;
}

/**
 * The operation's result, from the open device's own kernel where it has one. While gradients are recorded the composition
 * runs, as only its parts have gradients.
 */
export function runOperation<Result extends Tensor>(name: OperationKernel, operation: Operation<Result>): Result {
  const hasKernel = !engine().isTapeOn() && getKernel(name, getBackend()) !== undefined;
  if (!hasKernel) return tidy(operation.compose);
  return engine().runKernel(name, operation.inputs, operation.attributes ?? {});
}
