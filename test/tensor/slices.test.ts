import { slice, type Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Device, openDevice } from '../../src/tensor/index.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

/** Per axis: its length, where the part begins and how much of it is taken. */
const axis = fc
  .tuple(fc.integer({ min: 1, max: 40 }), fc.nat(), fc.nat())
  .map(([length, a, b]) => ({ length, begin: a % length, taken: b }))
  .map(({ length, begin, taken }) => ({ length, begin, taken: taken % (length - begin + 1) }));

/** The elements of a part by their places, one after the other. */
function plainSlice(axes: readonly { length: number; begin: number; taken: number }[]): number[] {
  return axes.reduce<number[]>(
    (places, { length, begin, taken }) =>
      places.flatMap((place) => Array.from({ length: taken }, (_, i) => place * length + begin + i)),
    [0],
  );
}

describe('a slice on the CPU', () => {
  it('is the elements at their places, of any rank, whole axes or none of one among them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(axis, { minLength: 1, maxLength: 4 }), fc.boolean(), async (axes, integers) => {
        const shape = axes.map(({ length }) => length);
        const count = shape.reduce((product, length) => product * length, 1);
        fc.pre(count <= 20_000);
        const numbers = Array.from({ length: count }, (_, i) => i);
        const values = integers ? Int32Array.from(numbers) : Float32Array.from(numbers);
        const whole = device.upload(values, shape);
        const begin = axes.map((each) => each.begin);
        const size = axes.map(({ taken }) => taken);
        const part: Tensor = slice(whole, begin, size);
        const found = await device.read(part);
        expect(part.shape).toEqual(size);
        expect(part.dtype).toBe(integers ? 'int32' : 'float32');
        expect([...found]).toEqual(plainSlice(axes));
        whole.dispose();
        part.dispose();
      }),
      { numRuns: 200 },
    );
  });

  it('brings nothing to the host, however much it is a part of', () => {
    const whole = device.upload(new Float32Array(2 ** 22), [2 ** 12, 2 ** 10]);
    const before = process.memoryUsage().arrayBuffers;
    const parts = Array.from({ length: 4 }, (_, i) => slice(whole, [i, 0], [16, 2 ** 10]));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * whole.size);
    for (const tensor of [whole, ...parts]) tensor.dispose();
  });

  it('refuses a part that is not inside', () => {
    const whole = device.upload(new Float32Array(6), [2, 3]);
    expect(() => slice(whole, [1, 0], [2, 3])).toThrow();
    whole.dispose();
  });
});
