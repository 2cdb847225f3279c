import { rmSync } from 'node:fs';
import type { Tensor } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Event } from '../../src/events.js';
import { batchesOf, createHiddenStates, type Model, openModel } from '../../src/model/index.js';
import { availableDevices, type Device, openDevice, ResidentRoom } from '../../src/tensor/index.js';
import { pruneOurs } from '../reference/our-pruning.js';
import { TINY_LLAMA, tinyModel, uniform, writeTinyModel } from '../reference/tiny-model.js';

const missing = (await availableDevices()).find(({ name }) => name === 'webgpu')?.reason;
const BLOCKS = 3;
const HIDDEN = TINY_LLAMA.hidden_size;
const folder = writeTinyModel(tinyModel({ ...TINY_LLAMA, num_hidden_layers: BLOCKS }));
afterAll(() => rmSync(folder, { recursive: true }));

/** Ten windows of 16 tokens in batches of three: as many as tensors of 12 KiB leave room for. */
const random = uniform(8);
const calibration = Array.from({ length: 10 }, () => ({
  ids: Int32Array.from({ length: 16 }, () => Math.floor(61 * random())),
}));
const MOST_TENSOR_BYTES = 12 * 2 ** 10;
const BATCH_BYTES = [3, 3, 3, 1].map((rows) => 4 * rows * 16 * HIDDEN);
const ALL_BYTES = BATCH_BYTES.reduce((sum, bytes) => sum + bytes, 0);

/** What of hidden states has travelled: they alone have three dimensions. */
interface Travelled {
  up: number;
  down: number;
}

describe.skipIf(missing !== undefined)(`hidden states on a GPU${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let gpu: Device;
  let model: Model;
  beforeAll(async () => {
    gpu = await openDevice('webgpu');
    model = await openModel(folder);
  });
  afterAll(async () => {
    await model.checkpoint.close();
    await gpu.close();
  });

  /** The GPU with so much room, and a count of what goes there and back. */
  function counted(residentBytes: number): { readonly device: Device; readonly travelled: Travelled } {
    const travelled = { up: 0, down: 0 };
    const upload: Device['upload'] = (values, shape) => {
      if (shape.length === 3) travelled.up += values.byteLength;
      return gpu.upload(values, shape);
    };
    const read = (tensor: Tensor) => {
      // A pass that keeps everything there reads a single value, to wait for it.
      if (tensor.rank === 3 && tensor.size > 1) travelled.down += 4 * tensor.size;
      return gpu.read(tensor);
    };
    const resident = new ResidentRoom(residentBytes);
    return { device: { ...gpu, upload, read, resident, maxTensorBytes: MOST_TENSOR_BYTES }, travelled };
  }

  /** Prunes by Wanda, and says after each block what has travelled since the one before, and what the device holds. */
  async function prune(residentBytes: number) {
    const { device, travelled } = counted(residentBytes);
    const before = gpu.memory();
    const blocks: Travelled[] = [];
    const held: ReturnType<Device['memory']>[] = [];
    const report = (event: Event) => {
      if (event.type !== 'progress' || event.stage !== 'prune') return;
      blocks.push({ ...travelled });
      held.push(gpu.memory());
      Object.assign(travelled, { up: 0, down: 0 });
    };
    const { masks } = await pruneOurs(model, { method: 'wanda', pattern: '50%', calibration, device, report });
    expect(gpu.memory()).toEqual(before);
    expect(device.resident!.freeBytes).toBe(residentBytes);
    return { masks, blocks, held, before };
  }

  const masksFound: unknown[] = [];
  it.each([
    ['none where there is no room', 0, 0],
    ['all that fit', ALL_BYTES, 4],
    ['the first two of four batches', BATCH_BYTES[0]! * 2.5, 2],
  ])('stay there between blocks: %s', async (_, residentBytes, resident) => {
    const { masks, blocks, held, before } = await prune(residentBytes);
    const sum = (bytes: readonly number[]) => bytes.reduce((total, each) => total + each, 0);
    const [kept, spilled] = [sum(BATCH_BYTES.slice(0, resident)), sum(BATCH_BYTES.slice(resident))];
    // Once to be looked at and once to go through the pruned block, whose output comes back; nobody wants the last block's.
    const each = { up: 2 * spilled, down: spilled };
    expect(blocks).toEqual([
      { ...each, up: kept + each.up },
      ...Array.from({ length: BLOCKS - 2 }, () => each),
      { up: spilled, down: 0 },
    ]);
    for (const after of held) expect(after).toEqual({ tensors: before.tensors + resident, bytes: before.bytes + kept });
    masksFound.push(masks);
    expect(masks).toEqual(masksFound[0]);
  });

  it('are loaded as they were stored, by whatever way, and give the room back once', async () => {
    const { device } = counted(BATCH_BYTES[0]! * 2);
    const batches = batchesOf(calibration, 48);
    const room = { device, memoryBytes: 2 ** 20, spillFolder: '' };
    const states = await createHiddenStates(batches, HIDDEN, room);
    expect(states).toMatchObject({ residentBytes: BATCH_BYTES[0]! * 2, spilled: false });
    await expect(states.load(0)).rejects.toThrow('never stored');
    for (const [i, bytes] of BATCH_BYTES.entries()) {
      const values = Float32Array.from({ length: bytes / 4 }, (_, k) => Math.sin(100 * i + k));
      await states.store(i, values);
      expect(states.onDevice(i) !== undefined).toBe(i < 2);
      expect(await states.load(i)).toEqual(values);
    }
    await expect(states.store(0, new Float32Array(3))).rejects.toThrow(RangeError);
    // A second model's states find no room left, and lie in memory.
    const beside = await createHiddenStates(batches, HIDDEN, room);
    expect(beside.residentBytes).toBe(0);
    await beside.close();
    await states.close();
    await states.close();
    expect(device.resident!.freeBytes).toBe(BATCH_BYTES[0]! * 2);
  });
});
