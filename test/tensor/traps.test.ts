import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { BirdboneError } from '../../src/errors.js';
import { openCpu } from '../../src/tensor/backends/cpu.js';
import { WASM_HEAP_BUDGET } from '../../src/tensor/backends/wasm.js';
import { watchFaults } from '../../src/tensor/backends/webgpu-faults.js';
import { availableDevices, type Device, openDevice, scoreNextTokens, uploadMatrix } from '../../src/tensor/index.js';

const GIBIBYTE = 2 ** 30;
const webgpuMissing = (await availableDevices()).find(({ name }) => name === 'webgpu')?.reason;

describe('the WASM heap', () => {
  let device: Device;
  afterEach(() => device.close());

  /** Room on the heap that nothing is written to, so that the machine need not have it. */
  const reserve = (bytes: number) => (tf.backend() as BackendWasm).makeOutput([bytes / 4], 'float32');

  it('refuses a tensor over the budget before it is allocated, and goes on working', async () => {
    device = await openCpu({ heapBudgetBytes: 2 ** 20 });
    const x = device.upload(new Float32Array(2 ** 16).fill(1), [256, 256]) as tf.Tensor2D;
    const before = device.memory();
    const tooLarge = expect.objectContaining({
      code: 'out-of-memory',
      exitCode: 6,
      message: expect.stringContaining('MiB'),
    });
    expect(() => device.upload(new Float32Array(2 ** 18), [2 ** 18])).toThrow(tooLarge);
    expect(() => tf.tile(x, [4, 4])).toThrow(tooLarge);
    expect(() => tf.tidy(() => tf.add(tf.tile(x, [2, 1]), tf.tile(x, [1, 2])))).toThrow();
    expect(device.memory()).toEqual(before);
    const product = tf.matMul(x, x);
    expect((await device.read(product))[0]).toBe(256);
    tf.dispose([x, product]);
  });

  it('gives room back with each tensor that is disposed', async () => {
    device = await openCpu({ heapBudgetBytes: 2 ** 20 });
    for (let round = 0; round < 20; round += 1) {
      const x = device.upload(new Float32Array(2 ** 17), [2 ** 17]);
      const view = tf.reshape(x, [2 ** 10, 2 ** 7]);
      tf.dispose([x, view]);
    }
  });

  it('has a budget of 3 GiB', async () => {
    device = await openCpu();
    expect(WASM_HEAP_BUDGET).toBe(3 * GIBIBYTE);
    const held = [reserve(GIBIBYTE), reserve(GIBIBYTE), reserve(GIBIBYTE)];
    expect(() => reserve(4)).toThrow(expect.objectContaining({ code: 'out-of-memory' }));
    for (const { dataId } of held) (tf.backend() as BackendWasm).disposeData(dataId);
    expect(() => reserve(4)).not.toThrow();
  });

  it('notices an allocation that fails, which tfjs would take for address 0', async () => {
    device = await openCpu({ heapBudgetBytes: 8 * GIBIBYTE });
    const reserveTooMuch = () => [1, 2, 3, 4].map(() => reserve(GIBIBYTE));
    expect(reserveTooMuch).toThrow(expect.objectContaining({ code: 'out-of-memory' }));
    const x = device.upload(Float32Array.of(1, 2), [2]);
    expect([...(await device.read(x))]).toEqual([1, 2]);
    x.dispose();
  });

  it('starts every tensor at a cache line, whatever came before', async () => {
    device = await openCpu();
    const tensors = [1, 3, 5, 17, 1000].map((size) => device.upload(new Float32Array(size).fill(size), [size]));
    const results = tensors.map((tensor) => tf.add(tensor, 1));
    for (const { dataId } of [...tensors, ...results]) {
      expect((tf.backend() as BackendWasm).getMemoryOffset(dataId) % 64).toBe(0);
    }
    for (const result of results) expect(new Set(await device.read(result))).toEqual(new Set([result.size + 1]));
    tf.dispose([...tensors, ...results]);
  });

  it('may grow in the middle of an operation, which detaches every view of it', async () => {
    device = await openCpu();
    const heap = () => (tf.backend() as BackendWasm).typedArrayFromHeap(x).buffer;
    const x = device.upload(new Float32Array(2048 * 8).fill(1), [2048, 8]) as tf.Tensor2D;
    const before = heap();
    const products = [1, 2, 3, 4].map(() => tf.matMul(x, x, false, true));
    expect(heap()).not.toBe(before);
    for (const product of products) expect(new Set(await device.read(product))).toEqual(new Set([8]));
    tf.dispose([x, ...products]);
  });

  it("leaves the process's handlers of errors as they are, which Emscripten would replace and then remove", async () => {
    const listeners = () => ['uncaughtException', 'unhandledRejection'].map((event) => process.rawListeners(event));
    const own = () => {};
    process.on('uncaughtException', own);
    const before = listeners();
    device = await openCpu();
    expect(listeners()).toEqual(before);
    await device.close();
    expect(listeners()).toEqual(before);
    process.removeListener('uncaughtException', own);
    device = await openCpu();
  });

  it('refuses a tensor that no typed array could view', async () => {
    device = await openCpu();
    const values = { byteLength: 2 ** 31, length: 2 ** 29 } as Float32Array;
    expect(() => device.upload(values, [2 ** 29])).toThrow(expect.objectContaining({ code: 'device' }));
  });
});

describe('values that cross to a device and back', () => {
  const subjects = [
    { name: 'cpu' as const, missing: undefined },
    { name: 'webgpu' as const, missing: webgpuMissing },
  ];
  for (const { name, missing } of subjects) {
    it.skipIf(missing !== undefined)(
      `are copies on ${name}${missing === undefined ? '' : ` (skipped: ${missing})`}`,
      async () => {
        const device = await openDevice(name);
        const values = Float32Array.of(1, 2, 3);
        const x = device.upload(values, [3]);
        values.fill(0);
        const first = await device.read(x);
        expect([...first]).toEqual([1, 2, 3]);
        first.fill(0);
        expect([...(await device.read(x))]).toEqual([1, 2, 3]);
        const doubled = tf.mul(x, 2);
        expect([...(await device.read(doubled))]).toEqual([2, 4, 6]);
        const empty = device.upload(new Float32Array(0), [0, 3]);
        expect(await device.read(empty)).toHaveLength(0);
        tf.dispose([x, doubled, empty]);
        await device.close();
      },
    );
  }
});

describe.skipIf(webgpuMissing !== undefined)(
  `a GPU${webgpuMissing === undefined ? '' : ` (skipped: ${webgpuMissing})`}`,
  () => {
    let device: Device;
    const backend = () => tf.backend() as WebGPUBackend;
    beforeAll(async () => {
      device = await openDevice('webgpu');
    });
    afterAll(() => device.close());

    const tooLarge = expect.objectContaining({
      code: 'device',
      exitCode: 6,
      message: expect.stringContaining('at most'),
    });

    it('refuses to upload a tensor above the binding limit', () => {
      const before = device.memory();
      const elements = device.maxTensorBytes / 4 + 1;
      expect(() => device.upload(new Float32Array(elements), [elements])).toThrow(tooLarge);
      expect(device.memory()).toEqual(before);
    });

    it('refuses to compute a tensor above the binding limit', async () => {
      const side = Math.ceil(Math.sqrt(device.maxTensorBytes / 4)) + 1;
      const x = device.upload(new Float32Array(side).fill(1), [side, 1]);
      const before = device.memory();
      expect(() => tf.tidy(() => tf.add(x, tf.reshape(x, [1, side])))).toThrow(tooLarge);
      expect(device.memory()).toEqual(before);
      expect((await device.read(x))[0]).toBe(1);
      x.dispose();
    });

    it('throws at the next read what the GPU reports on the side, instead of the zeros that tfjs would return', async () => {
      const side = Math.ceil(Math.sqrt(device.maxTensorBytes / 4)) + 1;
      const guarded = backend().uploadToGPU;
      backend().uploadToGPU = Object.getPrototypeOf(backend()).uploadToGPU;
      const x = device.upload(new Float32Array(side).fill(1), [side, 1]);
      const zeros = tf.tidy(() => tf.sum(tf.add(x, tf.reshape(x, [1, side]))));
      backend().uploadToGPU = guarded;
      await expect(device.read(zeros)).rejects.toThrow(
        expect.objectContaining({ code: 'device', message: expect.stringContaining('cannot be trusted') }),
      );
      // The fault has been told; what is computed right after it can be read.
      expect((await device.read(x))[0]).toBe(1);
      tf.dispose([x, zeros]);
    });

    it('is read asynchronously alone', async () => {
      const readSync = vi.spyOn(backend(), 'readSync');
      const hidden = device.upload(new Float32Array(12).fill(1), [4, 3]) as tf.Tensor2D;
      const head = uploadMatrix(device, new Float32Array(15), 5, 3);
      await scoreNextTokens(hidden, head, Int32Array.of(0, 1, 2, 3), device);
      expect(readSync).not.toHaveBeenCalled();
      readSync.mockRestore();
      expect(() => hidden.dataSync()).toThrow(/asynchronously/);
      tf.dispose([hidden, ...head.parts]);
    });

    it('does not keep the memory of every size that was ever used', async () => {
      const { bufferManager } = backend();
      const usage = GPUBufferUsage.STORAGE;
      for (let i = 0; i < 20; i += 1) {
        const buffer = bufferManager.acquireBuffer(100 * 2 ** 20 + 16 * i, usage);
        bufferManager.releaseBuffer(buffer);
      }
      expect(bufferManager.numBytesAllocated).toBeGreaterThan(GIBIBYTE);
      const x = device.upload(Float32Array.of(1), [1]);
      await device.read(x);
      expect(bufferManager.numBytesAllocated).toBeLessThan(2 ** 20);
      x.dispose();
    });
  },
);

describe('what a GPU reports on the side', () => {
  class FakeGpu extends EventTarget {
    lose: (info: { reason: string; message: string }) => void = () => {};
    readonly lost = new Promise((resolve) => {
      this.lose = resolve;
    });
    fail(message: string, error: object = {}): void {
      this.dispatchEvent(
        Object.assign(new Event('uncapturederror', { cancelable: true }), { error: Object.assign(error, { message }) }),
      );
    }
  }
  let gpu: FakeGpu;
  let faults: ReturnType<typeof watchFaults>;
  beforeEach(() => {
    gpu = new FakeGpu();
    faults = watchFaults(gpu as unknown as GPUDevice);
  });

  it('is told once, the first fault of several', () => {
    expect(() => faults.throwIfAny()).not.toThrow();
    gpu.fail('Binding size is too large.\n - While validating');
    gpu.fail('Invalid CommandBuffer.');
    expect(() => faults.throwIfAny()).toThrow(/Binding size is too large\.$/);
    expect(() => faults.throwIfAny()).not.toThrow();
  });

  it('is out of memory when the GPU is', () => {
    class GPUOutOfMemoryError {}
    gpu.fail('Failed to allocate.', new GPUOutOfMemoryError());
    expect(() => faults.throwIfAny()).toThrow(expect.objectContaining({ code: 'out-of-memory' }));
  });

  it('makes a lost GPU an error for good', async () => {
    gpu.lose({ reason: 'unknown', message: 'the driver restarted' });
    await gpu.lost;
    for (let i = 0; i < 2; i += 1) {
      expect(() => faults.throwIfAny()).toThrow(
        expect.objectContaining({ code: 'device', message: 'The GPU was lost: the driver restarted' }),
      );
    }
  });

  it('is nothing when we close the device ourselves, and a loss when somebody else does', async () => {
    gpu.lose({ reason: 'destroyed', message: 'Device was destroyed.' });
    await gpu.lost;
    expect(() => faults.throwIfAny()).toThrow('The GPU was lost: Device was destroyed.');
    const ours = new FakeGpu();
    const closed = watchFaults(ours as unknown as GPUDevice);
    closed.closing();
    ours.lose({ reason: 'destroyed', message: '' });
    await ours.lost;
    expect(() => closed.throwIfAny()).not.toThrow();
  });

  it('explains what the driver throws: by a report that is there, and else by what was thrown', () => {
    const own = new BirdboneError('usage', 'Said already.');
    expect(faults.explain(own)).toBe(own);
    expect(faults.explain(new RangeError('createBuffer failed\n'))).toMatchObject({
      code: 'out-of-memory',
      exitCode: 6,
    });
    expect(faults.explain(new Error(''))).toMatchObject({ code: 'device', exitCode: 6 });
    gpu.fail('Binding size is too large.');
    expect(faults.explain(new Error('mapAsync failed'))).toMatchObject({
      code: 'device',
      message: expect.stringContaining('Binding size is too large.'),
    });
  });
});
