import { matMul, ones, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freeMemory } from '../../src/tensor/free-memory.js';
import { type Device, type Dtype, decodeInto, decodeToF32, openDevice, showValues } from '../../src/tensor/index.js';

const arrayBytes = () => process.memoryUsage().arrayBuffers;

describe('memory that is freed', () => {
  it('is gone at once, and the array is empty', () => {
    const before = arrayBytes();
    const values = new Float32Array(2 ** 24);
    expect(arrayBytes() - before).toBeGreaterThanOrEqual(2 ** 26);
    freeMemory(values);
    expect(values.length).toBe(0);
    expect(arrayBytes() - before).toBeLessThan(2 ** 20);
  });
});

describe('a device that computes in the memory of the host', () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('cpu');
  });
  afterAll(() => device.close());

  it('makes products without anything for the garbage collector', () => {
    const [a, b] = [ones([1024, 64]), ones([64, 1024])] as Tensor2D[];
    const product = () => matMul(a!, b!).dispose();
    product();
    const before = arrayBytes();
    // Eight results are 32 MiB, of which a collector has not yet taken notice.
    for (let i = 0; i < 8; i += 1) product();
    expect(arrayBytes() - before).toBeLessThan(2 ** 20);
    a!.dispose();
    b!.dispose();
  });

  it('has tensors that are written where they lie, also after its heap has grown', async () => {
    const before = device.memory();
    const { empty, view } = device.hostMemory!;
    const tensor = empty([2, 3]);
    view(tensor).set([1, 2, 3, 4, 5, 6]);
    const grown = tidy(() => ones([2 ** 26]).dataSync().length);
    expect(grown).toBe(2 ** 26);
    expect([...view(tensor)]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await device.read(tensor)).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
    expect(await showValues(tensor, device, (values) => values.at(-1))).toBe(6);
    tensor.dispose();
    expect(device.memory()).toEqual(before);
  });

  it('refuses an empty tensor that is too large, as an upload', () => {
    expect(() => device.hostMemory!.empty([2 ** 15, 2 ** 14])).toThrow('too large for the CPU device');
  });
});

describe('decodeInto', () => {
  const TYPES: readonly Dtype[] = ['F32', 'BF16', 'F16', 'F64', 'F8_E4M3', 'I8', 'U16', 'I64', 'BOOL', 'Q8_0', 'Q4_K'];

  it.each(TYPES)('writes what decodeToF32 gives of %s, and nothing beside it', (dtype) => {
    const bytes = Uint8Array.from({ length: 288 * 17 }, (_, i) => (i * 37) % 100);
    const some = bytes.subarray(0, dtype === 'Q8_0' ? 34 * 8 : 288);
    const expected = decodeToF32(some, dtype);
    const around = new Float32Array(expected.length + 2).fill(7);
    expect(decodeInto(some, dtype, around.subarray(1))).toBe(expected.length);
    expect(around.subarray(1, -1)).toEqual(expected);
    expect([around[0], around.at(-1)]).toEqual([7, 7]);
  });

  it('refuses memory that is too small, and a part of an element', () => {
    expect(() => decodeInto(new Uint8Array(8), 'BF16', new Float32Array(3))).toThrow(RangeError);
    expect(() => decodeInto(new Uint8Array(7), 'BF16', new Float32Array(8))).toThrow(RangeError);
  });
});
