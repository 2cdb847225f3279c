import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BirdboneError } from '../../src/errors.js';
import { type EncodeJob, encodeRows, encoderOn, openRowEncoder } from '../../src/ggml/index.js';
import { gaussians } from '../../src/lowrank/gaussian.js';
import { openModel } from '../../src/model/index.js';
import { quantizeEdit } from '../../src/quantizing/index.js';
import { availableDevices, type Device, decodeToF32, encodeFromF32, openDevice } from '../../src/tensor/index.js';
import { proposeLayer } from '../fixtures/proposed-layer.js';
import { TINY_LLAMA, tinyModel, writeTinyModel } from '../reference/tiny-model.js';

const missing = (await availableDevices()).find(({ name }) => name === 'webgpu')?.reason;

describe.skipIf(missing !== undefined)(`Q4_K on a GPU${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  const [rows, columns] = [6, 768];
  const values = gaussians(rows * columns, 3).map((value, i) => value * 10 ** -(i % 3));
  const job: EncodeJob = { bytes: encodeFromF32(values, 'F32'), from: 'F32', to: 'Q4_K', columns };
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('webgpu');
  });
  afterAll(() => device.close());

  /** What the device encodes, and which jobs it leaves to the threads. */
  async function encoded(each: EncodeJob) {
    const left: EncodeJob[] = [];
    const threads = openRowEncoder(1);
    const encode = (unfit: EncodeJob) => {
      left.push(unfit);
      return threads.encode(unfit);
    };
    const encoder = encoderOn(device, { encode, close: () => threads.close() });
    const bytes = await encoder.encode(each).finally(() => encoder.close());
    return { bytes, left };
  }

  it('errs as much as what ggml finds, in nearly all of the same bytes, and leaves nothing behind', async () => {
    const before = device.memory();
    const { bytes, left } = await encoded(job);
    expect(left).toEqual([]);
    const host = encodeRows('Q4_K', values, columns);
    const errors = [bytes, host].map((blocks) => {
      const decoded = decodeToF32(blocks, 'Q4_K');
      return values.reduce((sum, value, i) => sum + (value - decoded[i]!) ** 2, 0);
    });
    expect(bytes).toHaveLength(host.length);
    expect(errors[0]! / errors[1]!).toBeLessThan(1.0005);
    expect(errors[0]! / errors[1]!).toBeGreaterThan(0.9995);
    const same = bytes.filter((byte, i) => byte === host[i]).length;
    expect(same / host.length).toBeGreaterThan(0.99);
    expect(device.memory()).toEqual(before);
  });

  it('is the same for values stored in 16 bits', async () => {
    const halves = encodeFromF32(values, 'BF16');
    const { bytes } = await encoded({ ...job, bytes: halves, from: 'BF16' });
    expect(bytes).toEqual((await encoded({ ...job, bytes: encodeFromF32(decodeToF32(halves, 'BF16'), 'F32') })).bytes);
  });

  it.each<[string, Partial<EncodeJob>]>([
    ['other block types', { to: 'Q6_K' }],
    ['weights of columns', { weights: new Float32Array(columns).fill(1) }],
  ])('is left to the threads for %s', async (_, change) => {
    const { bytes, left } = await encoded({ ...job, ...change });
    expect(left).toHaveLength(1);
    expect(bytes).toEqual(encodeRows(left[0]!.to, values, columns, change.weights));
  });

  it('is made where quantize stores matrices in Q4_K', async () => {
    const folder = writeTinyModel(tinyModel({ ...TINY_LLAMA, intermediate_size: 256 }));
    const model = await openModel(folder);
    const shapes: string[] = [];
    const upload: Device['upload'] = (each, shape) => {
      shapes.push(shape.join());
      return device.upload(each, shape);
    };
    const edit = await quantizeEdit({ scheme: 'q4_k_s' }, 'gguf');
    const down = model.decoder.blocks.flatMap(({ linears }) => linears).filter((linear) => linear.columns === 256);
    const { view } = await proposeLayer(edit, model, { device: { ...device, upload } });
    const dtypes = down.map(({ weight }) => view.raw.tensors.get(weight)!.dtype);
    expect(dtypes).toContain('Q4_K');
    expect(shapes).toEqual(dtypes.filter((dtype) => dtype === 'Q4_K').map(() => '32,256'));
    await view.close();
    rmSync(folder, { recursive: true });
  });

  it('refuses values that no block can hold', async () => {
    const spoilt = values.with(columns + 70, Number.NEGATIVE_INFINITY);
    await expect(encoded({ ...job, bytes: encodeFromF32(spoilt, 'F32') })).rejects.toThrow(BirdboneError);
  });
});
