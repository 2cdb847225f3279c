import { type Tensor2D, tensor1d, tidy } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Collector } from '../../src/evidence/collector.js';
import { absMeansCollector, normsCollector } from '../../src/evidence/column-statistics.js';
import { gramCollector } from '../../src/evidence/gram.js';
import { availableDevices, type Device, openDevice, ResidentRoom, RunningSums } from '../../src/tensor/index.js';
import { uniform } from '../reference/tiny-model.js';

const missing = (await availableDevices()).find(({ name }) => name === 'webgpu')?.reason;

/** Half the distance from 1 to the next float32. */
const U = 2 ** -24;
/** Relative error of n float32 operations one after another (Higham 2002, lemma 3.1). */
const gamma = (n: number) => (n * U) / (1 - n * U);

/** Columns from 1e-9 to 1e9, of one sign or of both: products of them cancel, and span 36 powers of ten. */
const SCALES = [1e-9, 1e-4, 1, 1e3, 1e9, 1e9];
const COLUMNS = SCALES.length;
const ROWS = 32;
const BATCHES = 40;

describe.skipIf(missing !== undefined)(`sums on a GPU${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let gpu: Device;
  beforeAll(async () => {
    gpu = await openDevice('webgpu');
  });
  afterAll(() => gpu.close());

  const random = uniform(5);
  const batches = Array.from({ length: BATCHES }, () =>
    Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => SCALES[i % COLUMNS]! * (random() - (i % 2 ? 0 : 0.5))),
  );
  const rows = batches.flatMap((values) =>
    Array.from({ length: ROWS }, (_, row) => values.subarray(row * COLUMNS, (row + 1) * COLUMNS)),
  );
  const totalOf = (value: (row: Float32Array) => number) => rows.reduce((total, row) => total + value(row), 0);

  /** The GPU with so much room for sums, and how often something was read from it. */
  function counted(sumBytes: number) {
    const reads: number[] = [];
    const sums = new ResidentRoom(sumBytes);
    const read: Device['read'] = (tensor) => {
      reads.push(tensor.size);
      return gpu.read(tensor);
    };
    return { device: { ...gpu, read, sums }, reads };
  }

  async function feed(collector: Collector) {
    try {
      for (const values of batches) {
        const tensor = gpu.upload(values.slice(), [ROWS, COLUMNS]) as Tensor2D;
        tidy(() => collector.observe(tensor));
        tensor.dispose();
        await collector.settle();
      }
      return await collector.finish();
    } finally {
      collector.drop();
    }
  }

  it('have the error of one batch and of one rounding, whatever the scales of the columns', async () => {
    const before = gpu.memory();
    const { device } = counted(2 ** 20);
    const { gram } = await feed(gramCollector(COLUMNS, device, 4));
    const { norms } = await feed(normsCollector(COLUMNS, device));
    const { absMeans } = await feed(absMeansCollector(COLUMNS, device));
    const [found, means] = [await gpu.read(norms!), await gpu.read(absMeans!)];
    const bound = gamma(ROWS) + gamma(BATCHES) ** 2;
    for (let i = 0; i < COLUMNS; i += 1) {
      for (let j = 0; j < COLUMNS; j += 1) {
        const exact = totalOf((row) => row[i]! * row[j]!);
        const size = totalOf((row) => Math.abs(row[i]! * row[j]!));
        const error = Math.abs(gram!.values[i * COLUMNS + j]! - exact);
        expect(error, `${i}, ${j}`).toBeLessThanOrEqual(bound * size + U * Math.abs(exact));
        expect(gram!.values[i * COLUMNS + j]).toBe(gram!.values[j * COLUMNS + i]);
      }
      // Of a square root half the relative error, of a rounding to float32 one more.
      const norm = Math.sqrt(totalOf((row) => row[i]! ** 2));
      expect(Math.abs(found[i]! / norm - 1)).toBeLessThanOrEqual((bound + U) / 2 + U);
      const mean = totalOf((row) => Math.abs(row[i]!)) / rows.length;
      expect(Math.abs(means[i]! / mean - 1)).toBeLessThanOrEqual(bound + 2 * U);
    }
    expect(gram!.tokens).toBe(rows.length);
    for (const tensor of [norms!, absMeans!]) tensor.dispose();
    expect(device.sums.freeBytes).toBe(2 ** 20);
    expect(gpu.memory()).toEqual(before);
  });

  it('are read once a tile at the end, beside single values that are waited for', async () => {
    const { device, reads } = counted(2 ** 20);
    await feed(gramCollector(COLUMNS, device, 4));
    // After batches 16 and 32; then tiles of 4 · 4, 4 · 2 and 2 · 2.
    expect(reads).toEqual([1, 1, 16, 8, 4]);
  });

  it('are made on the host where the device has no room for all of them, batch after batch', async () => {
    const bytes = RunningSums.bytesOf([16, 8, 4]);
    const [{ device, reads }, roomy] = [counted(bytes - 1), counted(bytes)];
    const { gram } = await feed(gramCollector(COLUMNS, device, 4));
    expect(reads).toHaveLength(3 * BATCHES);
    const { gram: onDevice } = await feed(gramCollector(COLUMNS, roomy.device, 4));
    expect(roomy.reads.length).toBeLessThan(BATCHES);
    // In float64 or in two floats: rounded to float32, next to nothing is left of the difference.
    for (const [i, value] of gram!.values.entries()) {
      expect(Math.abs(onDevice!.values[i]! - value)).toBeLessThanOrEqual(2 * U * Math.abs(value) + gamma(BATCHES) ** 2);
    }
  });

  it('leave nothing on the GPU when a pass ends before they are read', async () => {
    const before = gpu.memory();
    const { device } = counted(2 ** 20);
    const collector = gramCollector(COLUMNS, device, 4);
    const values = gpu.upload(batches[0]!.slice(), [ROWS, COLUMNS]) as Tensor2D;
    tidy(() => collector.observe(values));
    values.dispose();
    expect(gpu.memory().tensors).toBe(before.tensors + 6);
    collector.drop();
    expect(gpu.memory()).toEqual(before);
    expect(device.sums.freeBytes).toBe(2 ** 20);
  });

  it('keep what float32 sums lose: small terms beside large ones that go away again', () =>
    keepSmallTerms(counted(32).device));
});

describe('sums of a device that has no kernel for them', () => {
  it('keep the same, composed of other operations', async () => {
    const cpu = await openDevice('cpu');
    try {
      await keepSmallTerms({ ...cpu, sums: new ResidentRoom(32) });
    } finally {
      await cpu.close();
    }
  });
});

async function keepSmallTerms(device: Device): Promise<void> {
  const before = device.memory();
  const sums = RunningSums.open([4], device)!;
  const add = (values: number[]) => tidy(() => sums.add(0, tensor1d(values)));
  add([2 ** 24, 1e8, 1, 3e38]);
  for (let i = 0; i < 100; i += 1) add([1, 0.125, 2 ** -30, 3e38]);
  add([0, -1e8, 0, 1]);
  // Alone, float32 has 2^24, 0 and 1; beside an infinite sum nothing is left out.
  const expected = [2 ** 24 + 100, 12.5, Math.fround(1 + 100 * 2 ** -30), Number.POSITIVE_INFINITY];
  expect([...(await sums.take(0))!]).toEqual(expected);
  expect(await sums.take(0)).toBeUndefined();
  sums.drop();
  expect(device.memory()).toEqual(before);
}
