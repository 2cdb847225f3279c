import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import {
  broadcast_util,
  getKernel,
  type KernelConfig,
  type KernelFunc,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { TFJS_BACKENDS } from '../device.js';
import type { FittingKernel } from '../kernels.js';

interface Transposes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** tfjs's kernel with ours in its place for the calls that ours takes. */
export function inPlaceOf(original: KernelConfig, ours: FittingKernel | undefined): KernelConfig {
  if (ours === undefined) return original;
  const kernelFunc: KernelFunc = (call) =>
    (ours.fits?.(call.inputs, call.attrs ?? {}) === false ? original : ours).kernelFunc(call);
  return { ...original, kernelFunc };
}

/**
 * tfjs's BatchMatMul on WebGPU, kept from being wrong: alone it pairs the matrices of two batches by their count, so that
 * [2, 3, m, k] meets the wrong ones of [2, 1, k, n]; it cannot bind the empty operands that an inner dimension of 0 makes; and
 * it computes integers in float32, which is exact only up to 2^24: those are refused.
 */
export function broadcastingProducts(original: KernelConfig): KernelConfig {
  const kernelFunc: KernelFunc = (call) => {
    const { a, b } = call.inputs as { a: TensorInfo; b: TensorInfo };
    const { transposeA, transposeB } = call.attrs as unknown as Transposes;
    if (a.dtype !== 'float32') throw new Error(`Products of ${a.dtype} matrices are not exact on a GPU.`);
    const batches = [a.shape.slice(0, -2), b.shape.slice(0, -2)] as const;
    const batch = broadcast_util.assertAndGetBroadcastShape(...batches);
    if (util.sizeFromShape(a.shape) === 0 || util.sizeFromShape(b.shape) === 0) {
      const shape = [...batch, a.shape.at(transposeA ? -1 : -2)!, b.shape.at(transposeB ? -2 : -1)!];
      return runKernel('Fill', { inputs: {}, backend: call.backend, attrs: { shape, value: 0, dtype: 'float32' } });
    }
    if (batches.some((shape) => util.sizeFromShape(shape) === 1) || util.arraysEqual(...batches)) {
      return original.kernelFunc(call);
    }
    const [spreadA, spreadB] = [spread(a, batch, call.backend), spread(b, batch, call.backend)];
    const product = original.kernelFunc({ ...call, inputs: { a: spreadA, b: spreadB } });
    for (const { dataId } of [spreadA, spreadB]) (call.backend as WebGPUBackend).disposeData(dataId);
    return product;
  };
  return { ...original, kernelFunc };
}

/** The tensor repeated along the dimensions in which its batch is 1 and `batch` is not. */
function spread(tensor: TensorInfo, batch: readonly number[], backend: object): TensorInfo {
  const rank = batch.length + 2;
  const shape = [...new Array<number>(rank - tensor.shape.length).fill(1), ...tensor.shape];
  const reps = shape.map((side, axis) => (side === 1 ? (batch[axis] ?? 1) : 1));
  return runKernel('Tile', { inputs: { x: { ...tensor, shape } }, backend, attrs: { reps } });
}

function runKernel(name: string, call: Parameters<KernelFunc>[0]): TensorInfo {
  return getKernel(name, TFJS_BACKENDS.webgpu)!.kernelFunc(call) as TensorInfo;
}
