import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { KernelConfig, TensorInfo } from '@tensorflow/tfjs-core';
import type { OperationKernel } from '../../kernels.js';
import { type Graph, integers } from './graph.js';
import type { OnnxRuntime } from './runtime.js';

/** Scores of one call, at most: what stays in a core's cache between the four steps, and bounds the library's own memory. */
const SCORE_BYTES = 4 * 2 ** 20;

const KERNEL_NAME: OperationKernel = 'birdbone.CausalAttention';

/**
 * Attention in one graph: for a few key heads at a time, each with the query heads that share it as further rows of one
 * matrix. Inputs and result as `causalAttention` has them.
 */
export function attentionKernel(runtime: OnnxRuntime, backendName: string): KernelConfig {
  return {
    kernelName: KERNEL_NAME,
    backendName,
    kernelFunc: (call) => {
      const { q, k, v, mask } = call.inputs as Record<'q' | 'k' | 'v' | 'mask', TensorInfo>;
      const backend = call.backend as BackendWasm;
      const output = backend.makeOutput(q.shape, 'float32');
      // Views are taken only now: making the output may have grown the heap, which detaches older views.
      const [queries, keys, values, masking, results] = [q, k, v, mask, output].map(
        (tensor) => backend.typedArrayFromHeap(tensor) as Float32Array,
      );
      const [batch, heads, tokens, width] = q.shape as [number, number, number, number];
      const keyHeads = batch * k.shape[1]!;
      const queryRows = (heads / k.shape[1]!) * tokens;
      const headsPerCall = Math.max(1, Math.floor(SCORE_BYTES / (4 * queryRows * tokens)));
      const part = (data: Float32Array, first: number, count: number, rows: number) => ({
        data: data.subarray(first * rows * width, (first + count) * rows * width),
        shape: [count, rows, width],
      });
      for (let first = 0; first < keyHeads; first += headsPerCall) {
        const count = Math.min(headsPerCall, keyHeads - first);
        runtime.run(
          `${KERNEL_NAME} ${width}`,
          () => attentionGraph(width),
          {
            q: part(queries!, first, count, queryRows),
            k: part(keys!, first, count, tokens),
            v: part(values!, first, count, tokens),
            mask: { data: masking!, shape: mask.shape },
          },
          part(results!, first, count, queryRows),
        );
      }
      return output;
    },
  };
}

/** q [n, g·t, d], k and v [n, t, d], mask [t, t] → [n, g·t, d]. */
function attentionGraph(width: number): Graph {
  return {
    inputs: { q: 'float32', k: 'float32', v: 'float32', mask: 'float32' },
    nodes: [
      {
        op: 'FusedMatMul',
        domain: 'com.microsoft',
        inputs: ['q', 'k'],
        output: 'scores',
        attributes: { transB: 1, alpha: { float: 1 / Math.sqrt(width) } },
      },
      // The mask repeats for each query head: [n, g·t, t] is read as [n·g, t, t] for the time of the softmax.
      integers('any', [-1]),
      { op: 'Shape', inputs: ['mask'], output: 'square' },
      { op: 'Concat', inputs: ['any', 'square'], output: 'byHead', attributes: { axis: 0 } },
      { op: 'Shape', inputs: ['scores'], output: 'grouped' },
      { op: 'Reshape', inputs: ['scores', 'byHead'], output: 'scoresByHead' },
      { op: 'Add', inputs: ['scoresByHead', 'mask'], output: 'masked' },
      { op: 'Softmax', inputs: ['masked'], output: 'weightsByHead', attributes: { axis: -1 } },
      { op: 'Reshape', inputs: ['weightsByHead', 'grouped'], output: 'weights' },
      { op: 'MatMul', inputs: ['weights', 'v'], output: 'output' },
    ],
  };
}
