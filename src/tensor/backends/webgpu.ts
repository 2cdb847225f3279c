import process from 'node:process';
import { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';
import { type Device, type DeviceBackend, type DeviceOptions, type FoundDevice, TFJS_BACKENDS } from '../device.js';
import { ResidentRoom } from '../resident-room.js';
import { wgslKernels } from '../wgsl/index.js';
import type { TilePolicy } from '../wgsl/kernel.js';
import { productKernel } from '../wgsl/product.js';
import { firstTile, oneTile } from '../wgsl/tile-policy.js';
import { TileTuner } from '../wgsl/tile-tuner.js';
import { replaceKernels } from './replace-kernels.js';
import { loadTiles, saveTiles } from './tile-memory.js';
import { type FaultLog, watchFaults } from './webgpu-faults.js';
import { guardBackend, releaseIdleBuffers, takeValues } from './webgpu-guard.js';
import { gpuSeconds, hasInternals, kernelConfigs, openGpu } from './webgpu-kernels.js';
import { broadcastingProducts, inPlaceOf } from './webgpu-products.js';
import { residentBytesOf, sumBytesBeside } from './webgpu-room.js';

/** What is used of the optional package `webgpu`: Dawn, Chrome's implementation of WebGPU, as a Node addon. */
export interface DawnPackage {
  create(options: string[]): GPU;
  readonly globals: object;
}

export type LoadDawn = () => Promise<DawnPackage>;

const importDawn: LoadDawn = () => import('webgpu');

/** GPUs of any vendor: tfjs's WebGPU backend on a Dawn device of our own. */
export function webgpuBackend(load: LoadDawn = importDawn): DeviceBackend {
  // One instance serves the process, as each loads the graphics driver anew; an adapter serves one device.
  let instance: Promise<GPU> | undefined;
  let search: Promise<Search> | undefined;
  const find = () => {
    instance ??= load().then(startDawn);
    search ??= findAdapter(instance);
    return search;
  };
  return {
    find: async () => (await find()).found,
    open: async (options) => {
      const { adapter, found } = await find();
      search = undefined;
      if (adapter === undefined) throw new Error(found.reason);
      return openAdapter(adapter, found, options);
    },
  };
}

interface Search {
  readonly adapter?: GPUAdapter;
  readonly found: FoundDevice;
}

export default webgpuBackend();

/** WebGPU's constants are globals, and tfjs looks for `navigator.gpu` before it builds a backend, though it is handed a device. */
function startDawn({ create, globals }: DawnPackage): GPU {
  // Matrix units are behind this switch; it allows features to be asked for, and turns none on.
  const gpu = create(['enable-dawn-features=allow_unsafe_apis']);
  Object.assign(globalThis, globals);
  const scope = globalThis as { navigator?: object };
  scope.navigator ??= {};
  Object.defineProperty(scope.navigator, 'gpu', { value: gpu, configurable: true });
  return gpu;
}

async function findAdapter(instance: Promise<GPU>): Promise<Search> {
  try {
    const gpu = await instance;
    const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
    if (adapter === null) return { found: missing('no graphics driver was found.', DRIVER_ADVICE) };
    return {
      adapter,
      found: {
        name: 'webgpu',
        available: true,
        description: describe(adapter.info),
        software: isSoftware(adapter.info),
      },
    };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ERR_MODULE_NOT_FOUND'
      ? { found: missing('the optional package webgpu is not installed.', ['Install it: npm install webgpu@0.6.2']) }
      : { found: missing(`the package webgpu does not load: ${message.split('\n')[0]}`, DRIVER_ADVICE) };
  }
}

const DRIVER_ADVICE = [
  "Install the GPU's Vulkan driver and the Vulkan loader (libvulkan1 on Debian and Ubuntu; the NVIDIA driver brings its own)",
];

function missing(reason: string, suggestions: readonly string[]): FoundDevice {
  return { name: 'webgpu', available: false, description: 'WebGPU (Dawn)', reason, suggestions };
}

function describe({ description, vendor, architecture, device }: GPUAdapterInfo): string {
  return description || device || [vendor, architecture].filter(Boolean).join(' ') || 'WebGPU adapter';
}

/** Mesa's llvmpipe and Google's SwiftShader compute on the CPU. */
function isSoftware({ isFallbackAdapter, architecture, description }: GPUAdapterInfo): boolean {
  return isFallbackAdapter || architecture === 'software' || /llvmpipe|swiftshader/i.test(description);
}

const OTHER_TFJS =
  'The GPU runs on plain TensorFlow.js operations, as the installed version is not the one that our kernels were made for: weights take twice the memory, and matrix products several times as long. Install @tensorflow/tfjs-backend-webgpu@4.22.0.';

/** Limits that tfjs's kernels use beyond WebGPU's defaults. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxComputeWorkgroupSizeX',
  'maxComputeInvocationsPerWorkgroup',
] as const satisfies readonly (keyof GPUSupportedLimits)[];

/** Features that our kernels have a use for; a GPU that lacks one runs what does without. */
const FEATURES = [
  'shader-f16',
  'subgroups',
  // Dawn's name of matrix units, which the standard has none for yet.
  'chromium-experimental-subgroup-matrix',
] as readonly string[] as readonly GPUFeatureName[];

async function openAdapter(
  adapter: GPUAdapter,
  { description, software }: FoundDevice,
  options: DeviceOptions,
): Promise<Device> {
  const requiredLimits = Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit]]));
  const gpuDevice = await adapter.requestDevice({
    requiredLimits,
    requiredFeatures: FEATURES.filter((feature) => adapter.features.has(feature)),
  });
  const faults = watchFaults(gpuDevice);
  const maxTensorBytes = Math.min(gpuDevice.limits.maxStorageBufferBindingSize, gpuDevice.limits.maxBufferSize);
  tf.enableProdMode();
  const backend = new WebGPUBackend(gpuDevice, adapter.info);
  guardBackend(backend, maxTensorBytes, faults);
  const ours = hasInternals(backend);
  const residentBytes = options.residentBytes ?? (await residentBytesOf(gpuDevice, software === true));
  const tiles = options.tiles ?? (await tilesOf(description, software === true));
  const gpu = openGpu({ backend, adapterInfo: adapter.info, software: software === true, tiles });
  const kernels = ours ? kernelConfigs(wgslKernels, gpu) : [];
  const products = tf.getKernel('BatchMatMul', TFJS_BACKENDS.webgpu)!;
  // A GPU in software takes longer to compile our kernel than most products take by tfjs's.
  const product = software ? undefined : kernels.find(({ kernelName }) => kernelName === productKernel.operation);
  const restoreKernels = replaceKernels([broadcastingProducts(inPlaceOf(products, product)), ...kernels]);
  tf.registerBackend(TFJS_BACKENDS.webgpu, () => backend);
  await tf.setBackend(TFJS_BACKENDS.webgpu);
  return {
    name: 'webgpu',
    description,
    fastPaths: [
      ...(product === undefined ? [] : ['matrix products']),
      ...(ours ? ['16-bit weights', 'fused operations'] : []),
      ...(ours && gpu.matrixUnit !== undefined ? ['matrix units'] : []),
    ],
    notices: [
      ...(software ? [`${description} imitates a GPU in software: results are right, but slow.`] : []),
      ...(ours ? [] : [OTHER_TFJS]),
    ],
    maxTensorBytes,
    multipliesStored: ours,
    resident: new ResidentRoom(residentBytes),
    sums: new ResidentRoom(sumBytesBeside(residentBytes)),
    upload: (values, shape) => upload(backend, values, shape),
    read: async (tensor) => {
      const values = await read(backend, faults, tensor);
      // The only place where the GPU is waited for anyway.
      if (ours && tiles instanceof TileTuner && (await tiles.settle(gpuSeconds(backend)))) {
        await saveTiles(description, tiles.choices);
      }
      return values;
    },
    memory: () => ({ tensors: tf.memory().numTensors, bytes: tf.memory().numBytes }),
    close: async () => {
      faults.closing();
      tf.removeBackend(TFJS_BACKENDS.webgpu);
      restoreKernels();
      gpuDevice.destroy();
      await gpuDevice.lost;
    },
  };
}

/** Measured tiles, unless BIRDBONE_TILES=first asks for the same ones on every machine, or a processor imitates the GPU. */
async function tilesOf(adapter: string, software: boolean): Promise<TilePolicy> {
  if (software) return oneTile('32x32');
  return process.env['BIRDBONE_TILES'] === 'first' ? firstTile : new TileTuner(await loadTiles(adapter));
}

/** Values go to the GPU at once: tfjs alone would keep the caller's array until first use, and see what becomes of it. */
function upload(backend: WebGPUBackend, values: Float32Array | Int32Array, shape: readonly number[]): tf.Tensor {
  const tensor = tf.tensor(values, [...shape], values instanceof Int32Array ? 'int32' : 'float32');
  try {
    if (values.length > 0) backend.uploadToGPU(tensor.dataId);
  } catch (error) {
    tensor.dispose();
    throw error;
  }
  return tensor;
}

async function read(backend: WebGPUBackend, faults: FaultLog, tensor: tf.Tensor): Promise<Float32Array | Int32Array> {
  // Taken before anything is thrown: tfjs would keep values that a fault has made wrong, and give them to the next who asks.
  const values = takeValues(backend, tensor, await dataOf(tensor, faults));
  faults.throwIfAny();
  releaseIdleBuffers(backend);
  return values;
}

async function dataOf(tensor: tf.Tensor, faults: FaultLog): Promise<Float32Array | Int32Array> {
  try {
    return (await tensor.data()) as Float32Array | Int32Array;
  } catch (error) {
    // A device that is lost ends what waits for it before it says that it is lost.
    await new Promise((resolve) => setImmediate(resolve));
    throw faults.explain(error);
  }
}
