import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import { type Device, type DeviceBackend, type FoundDevice, TFJS_BACKENDS } from '../device.js';

const PACKAGE = '@tensorflow/tfjs-node-gpu';

/** The most that TensorFlow's 32-bit tensor indices are safe with. */
const MAX_TENSOR_BYTES = 2 ** 31;

/** What is used of the package's backend. */
interface NodeBackend extends tf.KernelBackend {
  readonly isUsingGpuDevice: boolean;
}

/** Imports the package, which registers its backend with tfjs; rejects when it is not installed or does not load. */
export type LoadPackage = () => Promise<unknown>;

const importPackage: LoadPackage = () => import(PACKAGE);

/** CUDA through TensorFlow's own library, for users who have installed it; speed and newer GPUs are not proven here. */
export function cudaBackend(load: LoadPackage = importPackage): DeviceBackend {
  return {
    find: () => findCuda(load),
    open: async () => openCuda(await findCuda(load)),
  };
}

export default cudaBackend();

async function findCuda(load: LoadPackage): Promise<FoundDevice> {
  const description = `TensorFlow (${PACKAGE})`;
  const missing = (reason: string): FoundDevice => ({
    name: 'cuda',
    available: false,
    description,
    reason,
    suggestions: [`Install it with npm install ${PACKAGE}; it needs an NVIDIA GPU with CUDA 11.2 and cuDNN 8.1`],
  });
  const current = tf.getBackend() as string | null | undefined;
  try {
    restoreNodeUtilities();
    await load();
    const backend = tf.findBackend(TFJS_BACKENDS.cuda) as NodeBackend | null;
    if (backend === null) return missing(`${PACKAGE} registers no backend.`);
    if (!backend.isUsingGpuDevice) return missing(`${PACKAGE} is installed, but reports no GPU.`);
    return { name: 'cuda', available: true, description };
  } catch (error) {
    return missing(explain(error));
  } finally {
    // The package makes its backend the current one as it loads.
    if (current) await tf.setBackend(current);
  }
}

async function openCuda({ description, reason }: FoundDevice): Promise<Device> {
  if (reason !== undefined) throw new Error(reason);
  tf.enableProdMode();
  await tf.setBackend(TFJS_BACKENDS.cuda);
  return {
    name: 'cuda',
    description,
    fastPaths: [],
    notices: [],
    maxTensorBytes: MAX_TENSOR_BYTES,
    upload: (values, shape) => tf.tensor(values, [...shape], values instanceof Int32Array ? 'int32' : 'float32'),
    read: async (tensor) => (await tensor.data()) as Float32Array | Int32Array,
    memory: () => ({ tensors: tf.memory().numTensors, bytes: tf.memory().numBytes }),
    // TensorFlow holds the GPU until the process ends, and its package registers its backend only once.
    close: async () => {},
  };
}

/** The package calls two functions that Node 23 removed. Source: tensorflow/tfjs issues 8425 and 8609. */
function restoreNodeUtilities(): void {
  const util = createRequire(import.meta.url)('node:util') as Record<string, unknown>;
  util['isArray'] ??= Array.isArray;
  util['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined;
}

function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ERR_MODULE_NOT_FOUND' && message.includes(PACKAGE)) return `the package ${PACKAGE} is not installed.`;
  return `${PACKAGE} does not load: ${String(message ?? error).split('\n')[0]}`;
}
