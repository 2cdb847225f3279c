import { availableParallelism } from 'node:os';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { BirdboneError } from '../../errors.js';
import { type Device, type DeviceBackend, type DeviceOptions, type HostMemory, TFJS_BACKENDS } from '../device.js';
import { doubleProducts } from './onnx/double-products.js';
import { elementwiseKernels } from './onnx/elementwise.js';
import { matrixProducts } from './onnx/matrix-products.js';
import { operationKernels } from './onnx/operations.js';
import { type OnnxLibrary, type OnnxRuntime, openOnnxRuntime, requireOnnxLibrary } from './onnx/runtime.js';
import { openWasm, WASM_HEAP_BUDGET } from './wasm.js';
import { logitKernels } from './wasm-logits.js';
import { sliceKernel } from './wasm-slice.js';

/** Well inside what the heap can hold, and what one typed array can view. */
const MAX_TENSOR_BYTES = 2 ** 30;

export interface CpuOptions extends DeviceOptions {
  readonly heapBudgetBytes?: number;
  /** Finds the library for the fast paths; throws when there is none. */
  readonly loadLibrary?: () => OnnxLibrary;
}

/** The CPU as a device: tfjs on WASM, with ONNX Runtime's CPU library beneath it where that is installed and works. */
export async function openCpu(options: CpuOptions = {}): Promise<Device> {
  const library = tryLibrary(options);
  const runtime = 'version' in library ? library : undefined;
  const heap = await openWasm(options.heapBudgetBytes ?? WASM_HEAP_BUDGET, (originals) =>
    replacements(originals, runtime),
  );
  return {
    name: 'cpu',
    description: describe(runtime),
    threads: runtime?.threads ?? 1,
    fastPaths: runtime === undefined ? [] : ['matrix products', 'fused operations', 'element-wise operations'],
    notices: 'notice' in library ? [library.notice] : [],
    maxTensorBytes: MAX_TENSOR_BYTES,
    hostMemory,
    upload,
    read: async (tensor) => (await tensor.data()) as Float32Array | Int32Array,
    ...(runtime && { doubles: doubleProducts(runtime) }),
    memory: () => ({ tensors: tf.memory().numTensors, bytes: tf.memory().numBytes }),
    close: async () => {
      await heap.close();
      runtime?.close();
    },
  };
}

const cpu: DeviceBackend = {
  async find() {
    const library = tryLibrary({});
    if ('notice' in library) return { name: 'cpu', available: true, description: describe(undefined) };
    library.close();
    return { name: 'cpu', available: true, description: describe(library) };
  },
  open: openCpu,
};
export default cpu;

function replacements(originals: readonly tf.KernelConfig[], runtime: OnnxRuntime | undefined): tf.KernelConfig[] {
  const of = (name: string) => originals.filter(({ kernelName }) => kernelName === name);
  const products = of('BatchMatMul').map((original) => matrixProducts(original, runtime));
  const always = [...products, ...of('Slice').map(sliceKernel)];
  if (runtime === undefined) return [...always, ...logitKernels(TFJS_BACKENDS.cpu)];
  return [...always, ...elementwiseKernels(runtime, originals), ...operationKernels(runtime, TFJS_BACKENDS.cpu)];
}

/** A tensor has no pages of its own before something is written to it; each view is of the heap as it is now. */
const hostMemory: HostMemory = {
  empty(shape) {
    refuseTooLarge(4 * tf.util.sizeFromShape([...shape]));
    return tf.engine().makeTensorFromTensorInfo(wasm().makeOutput([...shape], 'float32'));
  },
  view: (tensor) => wasm().typedArrayFromHeap(tensor) as Float32Array | Int32Array,
};

function wasm(): BackendWasm {
  return tf.backend() as BackendWasm;
}

function upload(values: Float32Array | Int32Array, shape: readonly number[]): tf.Tensor {
  refuseTooLarge(values.byteLength);
  return tf.tensor(values, [...shape], values instanceof Int32Array ? 'int32' : 'float32');
}

function refuseTooLarge(bytes: number): void {
  if (bytes <= MAX_TENSOR_BYTES) return;
  throw new BirdboneError(
    'device',
    `A tensor of ${bytes} bytes is too large for the CPU device, which takes ${MAX_TENSOR_BYTES} at most.`,
  );
}

/** Without the number of threads: it goes into manifests, and results do not depend on it. */
function describe(runtime: OnnxRuntime | undefined): string {
  return runtime === undefined ? 'WASM SIMD' : `WASM SIMD + ONNX Runtime ${runtime.version}`;
}

function tryLibrary(options: CpuOptions): OnnxRuntime | { notice: string } {
  try {
    return openOnnxRuntime(options.threads ?? availableParallelism(), options.loadLibrary ?? requireOnnxLibrary);
  } catch (error) {
    return { notice: slowNotice(error) };
  }
}

/** Says what is lost without the library, and how a user's own installation gets it. */
function slowNotice(error: unknown): string {
  const lost = 'The CPU device runs on plain WASM: matrix products take several times as long.';
  if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') {
    return `${lost} The optional package onnxruntime-node is not installed; to get it, put the line onnxruntime-node-install=skip into .npmrc (or set ONNXRUNTIME_NODE_INSTALL=skip) and run npm install again.`;
  }
  return `${lost} ONNX Runtime does not work here: ${error instanceof Error ? error.message : String(error)}`;
}
