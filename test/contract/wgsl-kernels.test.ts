import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { availableDevices, type Device, openDevice } from '../../src/tensor/index.js';
import { wgslKernels } from '../../src/tensor/wgsl/index.js';
import { kernelCases } from './wgsl/index.js';
import type { Expected, KernelCase } from './wgsl/kernel-case.js';

const missing = (await availableDevices()).find(({ name }) => name === 'webgpu')?.reason;

describe('kernels in WGSL', () => {
  it('each have cases that they are held to', () => {
    expect(kernelCases.map(({ operation }) => operation).sort()).toEqual(
      wgslKernels.map(({ operation }) => operation).sort(),
    );
    for (const { cases } of kernelCases) expect(cases.length).toBeGreaterThan(1);
  });
});

describe.skipIf(missing !== undefined)(`on the GPU${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('webgpu');
  });
  afterAll(() => device.close());

  for (const { operation, cases } of kernelCases) {
    describe(operation, () => {
      // Without its features (wgsl/kernel.ts, `needs`) a kernel is not in the table.
      it.each(cases)('$name', async (of) => {
        if (tf.getKernel(operation, 'webgpu') === undefined) expect(lacksFeatures(operation)).toBe(true);
        else await hold(operation, of, device);
      });
    });
  }
});

function lacksFeatures(operation: string): boolean {
  const { needs = [] } = wgslKernels.find((kernel) => kernel.operation === operation)!;
  const { device } = tf.backend() as unknown as { device: GPUDevice };
  return needs.some((feature) => !device.features.has(feature as GPUFeatureName));
}

/** Runs the kernel itself, so that no composition can stand in for it, and leaves nothing on the device. */
async function hold(operation: string, of: KernelCase, device: Device): Promise<void> {
  const before = device.memory();
  const inputs = Object.fromEntries(
    Object.entries(of.inputs).map(([name, { data, shape }]) => [name, device.upload(data, shape)]),
  );
  const found = [tf.engine().runKernel(operation, inputs, of.attributes ?? {}) as tf.Tensor | tf.Tensor[]].flat();
  const expected = of.expected();
  expect(found.map(({ shape }) => shape)).toEqual(expected.map(({ shape }) => shape));
  for (const [i, result] of found.entries()) compare(await device.read(result), expected[i]!);
  // The operands are as they were: a kernel works on tensors of its own.
  for (const [name, { data }] of Object.entries(of.inputs)) expect(await device.read(inputs[name]!)).toEqual(data);
  tf.dispose([...found, ...Object.values(inputs)]);
  expect(device.memory()).toEqual(before);
}

function compare(found: Float32Array | Int32Array, { data, tolerance }: Expected): void {
  const largest = Math.max(1, ...Array.from(data, (value = 0) => (Number.isFinite(value) ? Math.abs(value) : 0)));
  const wrong = Array.from(found).findIndex((value, i) => {
    const right = data[i];
    return !(right === undefined || Object.is(value, right) || Math.abs(value - right) <= tolerance * largest);
  });
  if (wrong >= 0) expect.fail(`element ${wrong} is ${found[wrong]}, not ${data[wrong]} (± ${tolerance * largest})`);
}
