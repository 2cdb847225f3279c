import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import { openCpu } from '../../src/tensor/backends/cpu.js';
import { cudaBackend } from '../../src/tensor/backends/cuda.js';
import { type OnnxLibrary, requireOnnxLibrary } from '../../src/tensor/backends/onnx/runtime.js';
import { webgpuBackend } from '../../src/tensor/backends/webgpu.js';
import { availableDevices, type Device, openDevice } from '../../src/tensor/index.js';

const devices = await availableDevices();
const found = (name: string) => devices.find((device) => device.name === name)!;

/** A small product on the device that is current, and what it must be. */
async function expectToWork(device: Device): Promise<void> {
  const x = device.upload(Float32Array.of(1, 2, 3, 4), [2, 2]) as tf.Tensor2D;
  const product = tf.matMul(x, x);
  expect([...(await device.read(product))]).toEqual([7, 10, 15, 22]);
  tf.dispose([x, product]);
}

describe('openDevice', () => {
  it('goes from cpu to webgpu and back in one process', async (context) => {
    const { reason } = found('webgpu');
    if (reason !== undefined) context.skip(reason);
    for (const name of ['cpu', 'webgpu', 'cpu', 'webgpu'] as const) {
      const device = await openDevice(name);
      expect(device.name).toBe(name);
      await expectToWork(device);
      await device.close();
    }
  });

  it('shares a device that is open, until its last user closes it', async () => {
    const [first, second] = await Promise.all([openDevice('cpu'), openDevice('cpu', { threads: 1 })]);
    expect(second.description).toBe(first.description);
    await first.close();
    await first.close();
    await expectToWork(second);
    await second.close();
    expect(tf.findBackendFactory('wasm')).toBeNull();
  });

  it('goes on with the device that was open before', async (context) => {
    const { reason } = found('webgpu');
    if (reason !== undefined) context.skip(reason);
    const cpu = await openDevice('cpu');
    const gpu = await openDevice('webgpu');
    await expectToWork(gpu);
    await gpu.close();
    await expectToWork(cpu);
    await cpu.close();
  });

  it('uses as many threads as it is told', async (context) => {
    if (!found('cpu').description.includes('ONNX')) context.skip('onnxruntime-node is not installed');
    const device = await openDevice('cpu', { threads: 1 });
    expect(device.threads).toBe(1);
    await device.close();
  });

  it('takes the best device by itself, but no GPU that is imitated in software', async () => {
    const best = devices.find(({ available, software }) => available && !software)!;
    const device = await openDevice('auto');
    expect(device.name).toBe(best.name);
    await device.close();
  });

  it('says of a device that is missing why, what else there is, and how to get it', async (context) => {
    if (found('cuda').available) context.skip('this machine has CUDA');
    await expect(openDevice('cuda')).rejects.toThrow(
      expect.objectContaining({
        code: 'device',
        exitCode: 6,
        message: expect.stringContaining('@tensorflow/tfjs-node-gpu'),
        suggestions: expect.arrayContaining([
          expect.stringContaining('npm install @tensorflow/tfjs-node-gpu'),
          expect.stringContaining('--device cpu'),
        ]),
      }),
    );
  });

  it('refuses a name that no device has', async () => {
    await expect(openDevice('tpu' as never)).rejects.toThrow(expect.objectContaining({ code: 'usage' }));
  });
});

describe('the CPU without its fast library', () => {
  const notFound = Object.assign(new Error("Cannot find module 'onnxruntime-node'"), { code: 'MODULE_NOT_FOUND' });

  async function noticesOf(loadLibrary: () => OnnxLibrary): Promise<string> {
    const device = await openCpu({ loadLibrary });
    await expectToWork(device);
    expect(device.fastPaths).toEqual([]);
    expect(device.description).toBe('WASM SIMD');
    expect(device.threads).toBe(1);
    await device.close();
    return device.notices.join();
  }

  it('works, and says how an installation of the user gets it', async () => {
    const notice = await noticesOf(() => {
      throw notFound;
    });
    expect(notice).toContain('onnxruntime-node-install=skip');
    expect(notice).toContain('ONNXRUNTIME_NODE_INSTALL=skip');
  });

  it('works, and says why a library that is there cannot be used', async () => {
    const notice = await noticesOf(() => {
      throw new Error('GLIBC_2.28 not found');
    });
    expect(notice).toContain('GLIBC_2.28 not found');
  });

  it('does not trust a library that leaves its result elsewhere, as an asynchronous one would', async () => {
    class Asynchronous {
      loadModel(): void {}
      dispose(): void {}
      run(): Promise<object> {
        return Promise.resolve({});
      }
    }
    const library = { version: '9.9.9', binding: { InferenceSession: Asynchronous }, Tensor: class {} as never };
    expect(await noticesOf(() => library)).toContain('onnxruntime-node 9.9.9 does not write results in place');
  });

  it.skipIf(!found('cpu').description.includes('ONNX'))('closes what the library holds with the device', async () => {
    const library = requireOnnxLibrary();
    let sessions = 0;
    class Counted extends library.binding.InferenceSession {
      constructor() {
        super();
        sessions += 1;
      }
      override dispose(): void {
        sessions -= 1;
        super.dispose();
      }
    }
    const device = await openCpu({ loadLibrary: () => ({ ...library, binding: { InferenceSession: Counted } }) });
    await expectToWork(device);
    expect(sessions).toBeGreaterThan(0);
    await device.close();
    expect(sessions).toBe(0);
  });
});

describe('webgpu that cannot be used', () => {
  it('is not installed', async () => {
    const { find } = webgpuBackend(() =>
      Promise.reject(Object.assign(new Error("Cannot find package 'webgpu'"), { code: 'ERR_MODULE_NOT_FOUND' })),
    );
    expect(await find()).toMatchObject({ available: false, reason: expect.stringContaining('not installed') });
  });

  it('does not load', async () => {
    const { find, open } = webgpuBackend(() =>
      Promise.reject(new Error('libstdc++.so.6: GLIBCXX_3.4.30 not found\nat x')),
    );
    expect((await find()).reason).toMatch(/does not load: libstdc\+\+.so.6: GLIBCXX_3.4.30 not found$/);
    await expect(open({})).rejects.toThrow('GLIBCXX');
  });

  it('finds no driver', async () => {
    const gpu = { requestAdapter: async () => null } as unknown as GPU;
    const { find } = webgpuBackend(async () => ({ create: () => gpu, globals: {} }));
    const { available, reason, suggestions } = await find();
    expect({ available, reason }).toEqual({ available: false, reason: 'no graphics driver was found.' });
    expect(suggestions?.join()).toContain('libvulkan1');
  });
});

describe('cuda', () => {
  const folders: string[] = [];
  afterEach(async () => {
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
  });

  /** Imports `@tensorflow/tfjs-node-gpu` from a folder of its own, where it consists of the given code. */
  async function packageOf(code: string): Promise<() => Promise<unknown>> {
    const folder = await mkdtemp(path.join(tmpdir(), 'cuda-'));
    folders.push(folder);
    const home = path.join(folder, 'node_modules/@tensorflow/tfjs-node-gpu');
    await mkdir(home, { recursive: true });
    await writeFile(path.join(home, 'index.js'), code);
    return () => import(/* @vite-ignore */ pathToFileURL(path.join(home, 'index.js')).href);
  }

  it('does not load where its addon was never built', async () => {
    const load = await packageOf(
      'throw new Error("The Node.js native addon module (tfjs_binding.node) can not be found");',
    );
    const { available, reason } = await cudaBackend(load).find();
    expect(available).toBe(false);
    expect(reason).toContain('does not load: The Node.js native addon module (tfjs_binding.node) can not be found');
  });

  it('registers nothing when it is another package by that name', async () => {
    const { available, reason } = await cudaBackend(await packageOf('module.exports = {};')).find();
    expect({ available, reason }).toEqual({
      available: false,
      reason: '@tensorflow/tfjs-node-gpu registers no backend.',
    });
  });

  /** tfjs's plain JavaScript backend under TensorFlow's name, which the package's own would have. */
  function registerFake(isUsingGpuDevice: boolean): () => Promise<void> {
    const require = createRequire(import.meta.url);
    const { MathBackendCPU } = require('@tensorflow/tfjs-backend-cpu') as {
      MathBackendCPU: new () => tf.KernelBackend;
    };
    return async () => {
      if (tf.findBackendFactory('tensorflow') !== null) tf.removeBackend('tensorflow');
      tf.copyRegisteredKernels('cpu', 'tensorflow');
      tf.registerBackend('tensorflow', () => Object.assign(new MathBackendCPU(), { isUsingGpuDevice }));
      await tf.setBackend('tensorflow');
    };
  }

  it('is not available where TensorFlow reports no GPU, and leaves the current device as it was', async () => {
    const cpu = await openDevice('cpu');
    const { available, reason } = await cudaBackend(registerFake(false)).find();
    expect({ available, reason }).toEqual({
      available: false,
      reason: '@tensorflow/tfjs-node-gpu is installed, but reports no GPU.',
    });
    await expectToWork(cpu);
    await cpu.close();
    tf.removeBackend('tensorflow');
  });

  it('opens where TensorFlow reports a GPU', async () => {
    const backend = cudaBackend(registerFake(true));
    expect((await backend.find()).available).toBe(true);
    const device = await backend.open({});
    expect(tf.getBackend()).toBe('tensorflow');
    await expectToWork(device);
    await device.close();
    tf.removeBackend('tensorflow');
  });

  it('gives TensorFlow the two functions that newer versions of Node lack', async () => {
    const util = createRequire(import.meta.url)('node:util') as Record<string, unknown>;
    const kept = { isArray: util['isArray'], isNullOrUndefined: util['isNullOrUndefined'] };
    delete util['isArray'];
    delete util['isNullOrUndefined'];
    let seen: boolean[] = [];
    await cudaBackend(async () => {
      const { isArray, isNullOrUndefined } = util as Record<string, (value: unknown) => boolean>;
      seen = [isArray!([]), isNullOrUndefined!(null), isNullOrUndefined!(undefined), isNullOrUndefined!(0)];
    }).find();
    Object.assign(util, kept);
    expect(seen).toEqual([true, true, true, false]);
  });
});
