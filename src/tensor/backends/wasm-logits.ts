import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { KernelConfig, KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import type { OperationKernel } from '../kernels.js';

/**
 * The operations over logits as loops on the WASM heap, for when there is no library: a vocabulary's worth of logits for each
 * token passes through them, and tfjs's kernels take four times as long, mostly to write and read what lies between.
 */
export function logitKernels(backendName: string): KernelConfig[] {
  const kernels: Partial<Record<OperationKernel, KernelFunc>> = {
    'birdbone.LogitStatistics': ({ inputs, backend }) =>
      overRows(backend as BackendWasm, [inputs['logits']!, inputs['targets']!], 4, statistics),
    'birdbone.LogitDivergence': ({ inputs, backend }) =>
      overRows(backend as BackendWasm, [inputs['base']!, inputs['now']!], 1, divergence),
  };
  return Object.entries(kernels).map(([kernelName, kernelFunc]) => ({ kernelName, backendName, kernelFunc }));
}

type Values = Float32Array | Int32Array;
type RowLoop = (first: Values, second: Values, columns: number, output: Float32Array) => void;

function overRows(
  backend: BackendWasm,
  [first, second]: [TensorInfo, TensorInfo],
  width: number,
  loop: RowLoop,
): TensorInfo {
  const [rows, columns] = first.shape as [number, number];
  const output = backend.makeOutput(width === 1 ? [rows] : [rows, width], 'float32');
  const [a, b, c] = [first, second, output].map((tensor) => backend.typedArrayFromHeap(tensor) as Float32Array);
  loop(a!, b!, columns, c!);
  return output;
}

/** Per row: max z, Σ exp(z − max), the lowest index of the maximum, z at the row's target. */
function statistics(logits: Values, targets: Values, columns: number, output: Float32Array): void {
  for (let row = 0; row < targets.length; row += 1) {
    const start = row * columns;
    let max = Number.NEGATIVE_INFINITY;
    let argMax = 0;
    for (let j = 0; j < columns; j += 1) {
      const logit = logits[start + j]!;
      if (logit > max) {
        max = logit;
        argMax = j;
      }
    }
    let expSum = 0;
    for (let j = 0; j < columns; j += 1) expSum += Math.exp(logits[start + j]! - max);
    output.set([max, expSum, argMax, logits[start + targets[row]!]!], 4 * row);
  }
}

/** Per row: the mean of base − now under softmax(base). */
function divergence(base: Values, now: Values, columns: number, output: Float32Array): void {
  for (let row = 0; row < output.length; row += 1) {
    const start = row * columns;
    let max = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < columns; j += 1) max = Math.max(max, base[start + j]!);
    let expSum = 0;
    let weighted = 0;
    for (let j = start; j < start + columns; j += 1) {
      const weight = Math.exp(base[j]! - max);
      expSum += weight;
      weighted += weight * (base[j]! - now[j]!);
    }
    output[row] = weighted / expSum;
  }
}
