import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';
import { BirdboneError } from '../../errors.js';
import type { FaultLog } from './webgpu-faults.js';

/** WebGPU stores each element, also a boolean, in 32 bits. */
const ELEMENT_BYTES = 4;

/** Freed buffers that tfjs may keep for later tensors of just their size. */
const IDLE_BYTES = 2 ** 30;

/**
 * Makes tfjs's WebGPU backend throw where it would go on with wrong values: at a tensor above `maxTensorBytes`, which the GPU
 * would leave at zeros, and at a synchronous read, which only browsers can do. What the driver throws as values travel becomes a
 * typed error.
 */
export function guardBackend(backend: WebGPUBackend, maxTensorBytes: number, faults: FaultLog): void {
  // Every kernel's operands and result pass through this before the kernel is queued.
  const uploadToGPU = backend.uploadToGPU.bind(backend);
  backend.uploadToGPU = (dataId) => {
    const { shape } = backend.tensorMap.get(dataId);
    const bytes = tf.util.sizeFromShape(shape) * ELEMENT_BYTES;
    if (bytes > maxTensorBytes) throw tooLarge(shape, bytes, maxTensorBytes);
    try {
      uploadToGPU(dataId);
    } catch (error) {
      throw faults.explain(error);
    }
  };
  const readSync = backend.readSync.bind(backend);
  backend.readSync = (dataId) => {
    if (backend.tensorMap.get(dataId).values === null) {
      throw new Error('A tensor on the GPU can only be read asynchronously: await device.read(tensor).');
    }
    return readSync(dataId);
  };
}

/** A tensor's values after `tensor.data()`, in an array that tfjs has no further hold of. */
export function takeValues(backend: WebGPUBackend, tensor: tf.Tensor, values: Float32Array | Int32Array) {
  const held = backend.tensorMap.get(tensor.dataId);
  // The result of an operation on small constants exists on the host only.
  if (held.resource == null) return values.slice();
  held.values = null as unknown as tf.backend_util.BackendValues;
  return values;
}

/** Frees what disposed tensors left, when that is much: tfjs itself never does, whatever sizes come and go. */
export function releaseIdleBuffers({ bufferManager }: WebGPUBackend): void {
  if (bufferManager.numBytesAllocated - bufferManager.numBytesUsed <= IDLE_BYTES) return;
  const idle = bufferManager as unknown as { freeBuffers: Map<string, GPUBuffer[]>; numFreeBuffers: number };
  for (const buffers of idle.freeBuffers.values()) {
    for (const buffer of buffers.splice(0)) {
      bufferManager.numBytesAllocated -= buffer.size;
      idle.numFreeBuffers -= 1;
      buffer.destroy();
    }
  }
}

function tooLarge(shape: readonly number[], bytes: number, maxTensorBytes: number): BirdboneError {
  return new BirdboneError(
    'device',
    `A tensor of [${shape.join(', ')}] takes ${bytes} bytes, but this GPU computes right only with tensors of at most ${maxTensorBytes}.`,
    { suggestions: ['Use smaller batches of windows, or a shorter --context', 'Use the CPU: --device cpu'] },
  );
}
