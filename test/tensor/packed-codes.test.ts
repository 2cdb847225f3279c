import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeRows } from '../../src/ggml/index.js';
import { gaussians } from '../../src/lowrank/gaussian.js';
import { dequantizeMatrix, quantizeMatrix, schemeOf } from '../../src/quantization/index.js';
import {
  availableDevices,
  canPackOnDevice,
  type Device,
  decodeToF32,
  encodeQ4k,
  openDevice,
  packGroups,
  unpackGroups,
} from '../../src/tensor/index.js';

const missing = (await availableDevices()).find(({ name }) => name === 'webgpu')?.reason;

describe.skipIf(missing !== undefined)(`codes on a GPU${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  const [rows, columns] = [6, 768];
  const values = gaussians(rows * columns, 3).map((value, i) => value * 10 ** -(i % 3));
  const matrix = { values, rows, columns };
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('webgpu');
  });
  afterAll(() => device.close());

  it('packed and unpacked are what the host makes of them, and leave nothing behind', async () => {
    expect(canPackOnDevice()).toBe(true);
    const before = device.memory();
    const packing = { bits: 4, group: 64 } as const;
    const packed = await packGroups(device, matrix, packing);
    const unpacked = unpackGroups(device, packed, { ...packing, rows, columns });
    const scheme = schemeOf('int4', { groupSize: 64 });
    expect(await device.read(unpacked)).toEqual(dequantizeMatrix(quantizeMatrix(values, rows, columns, scheme)));
    unpacked.dispose();
    expect(device.memory()).toEqual(before);
  });

  it.each([Number.NaN, Number.NEGATIVE_INFINITY, 1e6])(
    'with %s in a group say so by its scale alone',
    async (value) => {
      const spoilt = values.slice();
      spoilt[columns + 70] = value;
      const { scales } = await packGroups(device, { ...matrix, values: spoilt }, { bits: 4, group: 64 });
      expect([...scales.keys()].filter((i) => !Number.isFinite(scales[i]!))).toEqual([columns / 64 + 1]);
    },
  );

  it('of Q4_K err no more than those that ggml finds, and are nearly all the same', async () => {
    const found = await encodeQ4k(device, matrix);
    const host = encodeRows('Q4_K', values, columns);
    const errors = [found, host].map((bytes) => {
      const decoded = decodeToF32(bytes, 'Q4_K');
      return values.reduce((sum, value, i) => sum + (value - decoded[i]!) ** 2, 0);
    });
    expect(found).toHaveLength(host.length);
    expect(errors[0]! / errors[1]!).toBeLessThan(1.002);
    expect(errors[0]! / errors[1]!).toBeGreaterThan(0.99);
    const same = found.filter((byte, i) => byte === host[i]).length;
    expect(same / host.length).toBeGreaterThan(0.9);
  });
});
