import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { type KernelConfig, type KernelFunc, slice_util, type TensorInfo, util } from '@tensorflow/tfjs-core';

/** Shorter runs cost less element by element than as views. */
const WORTH_A_VIEW = 32;

/**
 * tfjs's Slice from one place of the WASM heap to another. Its own kernel first copies the whole tensor out of the heap, however little
 * is taken of it: all of a weight matrix for each slice that is scored.
 */
export function sliceKernel(original: KernelConfig): KernelConfig {
  const kernelFunc: KernelFunc = (call) => {
    const x = call.inputs['x']!;
    if (x.dtype !== 'float32' && x.dtype !== 'int32') return original.kernelFunc(call);
    const attributes = call.attrs as unknown as { readonly begin: number | number[]; readonly size: number | number[] };
    const [begin, size] = slice_util.parseSliceParams(x, attributes.begin, attributes.size) as [number[], number[]];
    slice_util.assertParamsValid(x, begin, size);
    const backend = call.backend as BackendWasm;
    const output = backend.makeOutput(size, x.dtype);
    if (util.sizeFromShape(size) > 0) copyRuns(backend, x, { begin, size }, output);
    return output;
  };
  return { ...original, kernelFunc };
}

interface Part {
  readonly begin: readonly number[];
  readonly size: readonly number[];
}

/** Copies what lies together in one go: of the last axes that are taken whole, and the one before them. */
function copyRuns(backend: BackendWasm, x: TensorInfo, { begin, size }: Part, output: TensorInfo): void {
  // Views are taken only now: making the output may have grown the heap, which detaches older views.
  const source = backend.typedArrayFromHeap(x);
  const target = backend.typedArrayFromHeap(output);
  const strides = [...util.computeStrides(x.shape), 1];
  let axis = x.shape.length - 1;
  while (axis > 0 && size[axis] === x.shape[axis]) axis -= 1;
  const run = size[axis]! * strides[axis]!;
  const place = size.slice(0, axis).fill(0);
  for (let to = 0; to < target.length; to += run) {
    let from = begin[axis]! * strides[axis]!;
    for (let i = 0; i < axis; i += 1) from += (begin[i]! + place[i]!) * strides[i]!;
    if (run >= WORTH_A_VIEW) target.set(source.subarray(from, from + run), to);
    else for (let i = 0; i < run; i += 1) target[to + i] = source[from + i]!;
    advance(place, size);
  }
}

/** The next place in row-major order. */
function advance(place: number[], size: readonly number[]): void {
  for (let axis = place.length - 1; axis >= 0; axis -= 1) {
    place[axis] = place[axis]! + 1;
    if (place[axis]! < size[axis]!) return;
    place[axis] = 0;
  }
}
