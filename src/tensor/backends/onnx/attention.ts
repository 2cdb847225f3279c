import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { KernelConfig, TensorInfo } from '@tensorflow/tfjs-core';
import type { OperationKernel } from '../../kernels.js';
import { type Graph, integers } from './graph.js';
import type { OnnxRuntime } from './runtime.js';

/** Scores of one call, at most: what stays in a core's cache between the four steps, and bounds the library's own memory. */
const SCORE_BYTES = 2 * 2 ** 20;

const KERNEL_NAME: OperationKernel = 'birdbone.CausalAttention';

/** Attention in one graph, called for a part of the queries at a time. Inputs and result as `causalAttention` has them. */
export function attentionKernel(runtime: OnnxRuntime, backendName: string): KernelConfig {
  return {
    kernelName: KERNEL_NAME,
    backendName,
    kernelFunc: (call) => {
      const { q, k, v, mask } = call.inputs as Record<'q' | 'k' | 'v' | 'mask', TensorInfo>;
      const backend = call.backend as BackendWasm;
      const output = backend.makeOutput(q.shape, 'float32');
      // Views are taken only now: making the output may have grown the heap, which detaches older views.
      const [queries, keys, values, masks, results] = [q, k, v, mask, output].map(
        (tensor) => backend.typedArrayFromHeap(tensor) as Float32Array,
      );
      const width = q.shape[3]!;
      for (const { keyHead, heads, queryRow, rows, maskRow, maskRows, tokens } of callsFor(q.shape, k.shape)) {
        const part = (data: Float32Array, firstRow: number, count: number) => ({
          data: data.subarray(firstRow * width, (firstRow + heads * count) * width),
          shape: [heads, count, width],
        });
        const inputs = {
          q: part(queries!, queryRow, rows),
          k: part(keys!, keyHead * tokens, tokens),
          v: part(values!, keyHead * tokens, tokens),
          mask: { data: masks!.subarray(maskRow * tokens, (maskRow + maskRows) * tokens), shape: [maskRows, tokens] },
        };
        runtime.run(`${KERNEL_NAME} ${width}`, () => attentionGraph(width), inputs, part(results!, queryRow, rows));
      }
      return output;
    },
  };
}

/** One call: `heads` key heads with `rows` query rows each, whose scores take `maskRows` rows of the mask in turn. */
interface AttentionCall {
  readonly keyHead: number;
  readonly heads: number;
  readonly queryRow: number;
  readonly rows: number;
  readonly maskRow: number;
  readonly maskRows: number;
  readonly tokens: number;
}

/**
 * Several key heads at a time, each with the query heads that share it as rows of one matrix; or, where one such matrix of
 * scores is too large already, some rows of one query head at a time.
 */
function* callsFor(q: readonly number[], k: readonly number[]): Generator<AttentionCall> {
  const [batch, queryHeads, tokens] = q as [number, number, number, number];
  const keyHeads = batch * k[1]!;
  const group = queryHeads / k[1]!;
  const headsPerCall = Math.floor(SCORE_BYTES / (4 * group * tokens * tokens));
  for (let keyHead = 0; headsPerCall > 0 && keyHead < keyHeads; keyHead += headsPerCall) {
    const heads = Math.min(headsPerCall, keyHeads - keyHead);
    const queryRow = keyHead * group * tokens;
    yield { keyHead, heads, queryRow, rows: group * tokens, maskRow: 0, maskRows: tokens, tokens };
  }
  if (headsPerCall > 0) return;
  const rowsPerCall = Math.max(1, Math.floor(SCORE_BYTES / (4 * tokens)));
  for (let head = 0; head < keyHeads * group; head += 1) {
    for (let maskRow = 0; maskRow < tokens; maskRow += rowsPerCall) {
      const rows = Math.min(rowsPerCall, tokens - maskRow);
      const queryRow = head * tokens + maskRow;
      yield { keyHead: Math.floor(head / group), heads: 1, queryRow, rows, maskRow, maskRows: rows, tokens };
    }
  }
}

/** q [n, g·r, d], k and v [n, t, d], mask [r, t] → [n, g·r, d]. */
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
      // The mask repeats for each query head: [n, g·r, t] is read as [n·g, r, t] for the time of the softmax.
      integers('any', [-1]),
      { op: 'Shape', inputs: ['mask'], output: 'maskShape' },
      { op: 'Concat', inputs: ['any', 'maskShape'], output: 'byHead', attributes: { axis: 0 } },
      { op: 'Shape', inputs: ['scores'], output: 'grouped' },
      { op: 'Reshape', inputs: ['scores', 'byHead'], output: 'scoresByHead' },
      { op: 'Add', inputs: ['scoresByHead', 'mask'], output: 'masked' },
      { op: 'Softmax', inputs: ['masked'], output: 'weightsByHead', attributes: { axis: -1 } },
      { op: 'Reshape', inputs: ['weightsByHead', 'grouped'], output: 'weights' },
      { op: 'MatMul', inputs: ['weights', 'v'], output: 'output' },
    ],
  };
}
