import {
  engine,
  getBackend,
  getKernel,
  type KernelConfig,
  type NamedAttrMap,
  type NamedTensorInfoMap,
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
  | 'birdbone.PartialRotary'
  | 'birdbone.CausalAttention'
  | 'birdbone.CappedCausalAttention'
  | 'birdbone.Swiglu'
  | 'birdbone.Activation'
  | 'birdbone.ColumnSquares'
  | 'birdbone.Gram'
  | 'birdbone.AddToSums'
  | 'birdbone.StoredProduct'
  | 'birdbone.LogitStatistics'
  | 'birdbone.LogitDivergence';

/** Operations of a device alone: where it has no kernel for them, their work is done on the host. */
export type DeviceOnlyKernel =
  | 'birdbone.UnrankedScores'
  | 'birdbone.GroupBoundaries'
  | 'birdbone.BoundaryMask'
  | 'birdbone.PairwiseMask'
  | 'birdbone.PruneBlock'
  | 'birdbone.ChooseBlock'
  | 'birdbone.RoundBlock'
  | 'birdbone.UnpackGroups'
  | 'birdbone.EncodeQ4K';

/** An entry of tfjs's table that takes only some calls of its operation; all of them where it has no `fits`. */
export interface FittingKernel extends KernelConfig {
  readonly fits?: (inputs: NamedTensorInfoMap, attributes: NamedAttrMap) => boolean;
}

export interface Operation<Result extends Tensor | Tensor[]> {
  readonly inputs: NamedTensorMap;
  readonly attributes?: NamedAttrMap;
  /** The same result from plain tfjs operations: the fallback, the kernel's oracle, and what gradients go through. */
  readonly compose: () => Result;
}

/**
 * The operation's result, from the open device's own kernel where it has one that fits. While gradients are recorded the
 * composition runs, as only its parts have gradients.
 */
export function runOperation<Result extends Tensor | Tensor[]>(
  name: OperationKernel,
  operation: Operation<Result>,
): Result {
  const { inputs, attributes = {}, compose } = operation;
  const kernel: FittingKernel | undefined = engine().isTapeOn() ? undefined : getKernel(name, getBackend());
  if (kernel === undefined || kernel.fits?.(inputs, attributes) === false) return tidy(compose);
  return engine().runKernel(name, inputs, attributes);
}

/** Whether the open device has a kernel for an operation that nothing composes. */
export function hasDeviceKernel(name: DeviceOnlyKernel): boolean {
  return getKernel(name, getBackend()) !== undefined;
}

/** The result of an operation that the open device has a kernel for (`hasDeviceKernel`). It has no gradient. */
export function runDeviceKernel<Result extends Tensor | Tensor[]>(
  name: DeviceOnlyKernel,
  inputs: NamedTensorMap,
  attributes: NamedAttrMap = {},
): Result {
  return engine().runKernel(name, inputs, attributes);
}
