import { createRequire } from 'node:module';
import path from 'node:path';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import type { Device } from '../device.js';

export async function openCpu(): Promise<Device> {
  const require = createRequire(import.meta.url);
  setWasmPaths(`${path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'))}/dist/`);
  tf.enableProdMode();
  await tf.setBackend('wasm');
  await tf.ready();
  return {
    name: 'cpu',
    description: 'WASM SIMD',
    fastPaths: [],
    notices: [],
    maxTensorBytes: 2 ** 30,
    upload: (values, shape) => tf.tensor(values, [...shape], values instanceof Int32Array ? 'int32' : 'float32'),
    read: async (tensor) => (await tensor.data()) as Float32Array | Int32Array,
    memory: () => ({ tensors: tf.memory().numTensors, bytes: tf.memory().numBytes }),
    close: async () => {},
  };
}
