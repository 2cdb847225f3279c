import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCpu } from '../../src/tensor/backends/cpu.js';
import type { Device } from '../../src/tensor/index.js';

/** Two operands that can be multiplied: batches that broadcast, sides of 0 among them, either matrix stored transposed. */
interface Operands {
  readonly batch: readonly number[];
  readonly flatA: readonly boolean[];
  readonly flatB: readonly boolean[];
  readonly dropB: number;
  readonly sides: readonly [rows: number, inner: number, columns: number];
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

const flags = fc.tuple(fc.boolean(), fc.boolean());
const operands = fc.record<Operands>({
  batch: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
  flatA: flags,
  flatB: flags,
  dropB: fc.integer({ min: 0, max: 2 }),
  sides: fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 5 })),
  transposeA: fc.boolean(),
  transposeB: fc.boolean(),
});

function shapesOf({ batch, flatA, flatB, dropB, sides: [rows, inner, columns], transposeA, transposeB }: Operands) {
  const flatten = (flat: readonly boolean[]) => batch.map((side, axis) => (flat[axis] ? 1 : side));
  return {
    a: [...flatten(flatA), ...(transposeA ? [inner, rows] : [rows, inner])],
    // b may have fewer dimensions than a.
    b: [...flatten(flatB).slice(dropB), ...(transposeB ? [columns, inner] : [inner, columns])],
  };
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, side) => product * side, 1);
const wave = (size: number, phase: number) => Float32Array.from({ length: size }, (_, i) => Math.sin(1.3 * i + phase));

/** Σ_k a·b of every element of the result, by walking its coordinates. */
function expectedProduct(given: Operands, a: Float32Array, b: Float32Array): { shape: number[]; data: number[] } {
  const { sides, transposeA, transposeB } = given;
  const [rows, inner, columns] = sides;
  const shapes = shapesOf(given);
  const [batchA, batchB] = [shapes.a.slice(0, -2), shapes.b.slice(0, -2)];
  const paddedB = [...new Array<number>(batchA.length - batchB.length).fill(1), ...batchB];
  const batch = batchA.map((side, axis) => Math.max(side, paddedB[axis]!));
  const data: number[] = [];
  for (let matrix = 0; matrix < sizeOf(batch); matrix += 1) {
    let [rest, matrixA, matrixB, stepA, stepB] = [matrix, 0, 0, 1, 1];
    for (let axis = batch.length - 1; axis >= 0; axis -= 1) {
      const place = rest % batch[axis]!;
      rest = Math.floor(rest / batch[axis]!);
      matrixA += batchA[axis] === 1 ? 0 : place * stepA;
      matrixB += paddedB[axis] === 1 ? 0 : place * stepB;
      stepA *= batchA[axis]!;
      stepB *= paddedB[axis]!;
    }
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        let total = 0;
        for (let k = 0; k < inner; k += 1) {
          const left = a[matrixA * rows * inner + (transposeA ? k * rows + row : row * inner + k)]!;
          const right = b[matrixB * inner * columns + (transposeB ? column * inner + k : k * columns + column)]!;
          total += left * right;
        }
        data.push(total);
      }
    }
  }
  return { shape: [...batch, rows, columns], data };
}

const leftOut = () => {
  throw new Error('left out on purpose');
};

describe.each([
  { name: 'with ONNX Runtime, where installed', options: {} },
  { name: 'on plain WASM', options: { loadLibrary: leftOut } },
])('matrix products on the CPU $name', ({ options }) => {
  let device: Device;
  beforeAll(async () => {
    device = await openCpu(options);
  });
  afterAll(() => device.close());

  it.each(['float32', 'int32'] as const)('equal float64 sums for every shape (%s)', async (dtype) => {
    await fc.assert(
      fc.asyncProperty(operands, async (given) => {
        const shapes = shapesOf(given);
        const [a, b] = [wave(sizeOf(shapes.a), 0.2), wave(sizeOf(shapes.b), 0.9)].map((values) =>
          dtype === 'int32' ? values.map((value) => Math.round(1000 * value)) : values,
        ) as [Float32Array, Float32Array];
        const typed = (values: Float32Array) => (dtype === 'int32' ? Int32Array.from(values) : values);
        const before = device.memory();
        const tensors = [device.upload(typed(a), shapes.a), device.upload(typed(b), shapes.b)] as const;
        const product = tf.matMul(...tensors, given.transposeA, given.transposeB);
        const wanted = expectedProduct(given, a, b);
        expect(product.shape).toEqual(wanted.shape);
        expect(product.dtype).toBe(dtype);
        const found = await device.read(product);
        const tolerance = dtype === 'int32' ? 0 : 1e-5;
        wanted.data.forEach((value, i) => {
          expect(Math.abs(found[i]! - value)).toBeLessThanOrEqual(tolerance);
        });
        tf.dispose([product, ...tensors]);
        expect(device.memory()).toEqual(before);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['the least that is multiplied in strips', 512, 3, 1100],
    ['strips of two lengths, each of some megabytes', 1031, 17, 2049],
  ])(
    'give each row the same bytes in a large result as alone with its neighbours: %s',
    async (_, rows, inner, columns) => {
      const [a, b] = [wave(rows * inner, 0.2), wave(inner * columns, 0.9)];
      const right = device.upload(b, [columns, inner]) as tf.Tensor2D;
      const productOf = async (first: number, count: number) => {
        const left = device.upload(a.subarray(first * inner, (first + count) * inner), [count, inner]) as tf.Tensor2D;
        const product = tf.matMul(left, right, false, true);
        const values = (await device.read(product)) as Float32Array;
        tf.dispose([left, product]);
        return values;
      };
      const whole = await productOf(0, rows);
      for (const first of [0, 200, rows - 100]) {
        const part = await productOf(first, 100);
        expect(
          Buffer.from(part.buffer).equals(Buffer.from(whole.slice(first * columns, (first + 100) * columns).buffer)),
        ).toBe(true);
      }
      right.dispose();
    },
  );
});
