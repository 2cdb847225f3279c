import { type Tensor, type Tensor1D, type Tensor2D, type Tensor4D, tidy } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Device,
  logitDivergence,
  logitStatistics,
  openDevice,
  rmsNorm,
  rotary,
  swiglu,
} from '../../src/tensor/index.js';
import { uniform } from '../reference/tiny-model.js';

let device: Device;

beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

const random = uniform(11);
const floats = (length: number) => Float32Array.from({ length }, () => 4 * random() - 2);

async function bitsOf(compute: () => Tensor): Promise<Buffer> {
  const tensor = tidy(compute);
  const values = await device.read(tensor);
  tensor.dispose();
  return Buffer.from(values.slice().buffer);
}

const upload = <T extends Tensor>(values: Float32Array | Int32Array, shape: readonly number[]) =>
  device.upload(values, shape) as T;

/** Widths that do and do not keep rows at cache lines; more elements than one call of the library takes. */
const SHAPES = [
  [1300, 1000],
  [1300, 999],
] as const;
/** Few enough rows for one call, and a multiple of 16, so that a part begins as aligned as it lies in the whole. */
const PART = 208;

/** Joins what `compute` makes of `step` rows at a time. */
async function byParts(rows: number, step: number, compute: (start: number, end: number) => Tensor) {
  const parts: Uint8Array[] = [];
  for (let start = 0; start < rows; start += step) {
    parts.push(await bitsOf(() => compute(start, Math.min(rows, start + step))));
  }
  return Buffer.concat(parts);
}

async function expectSameBits(rows: number, step: number, compute: (start: number, end: number) => Tensor) {
  const whole = await bitsOf(() => compute(0, rows));
  expect(whole.equals(await byParts(rows, step, compute))).toBe(true);
}

describe.each(SHAPES)('operations over [%i, %i], which the library gets some rows at a time', (rows, width) => {
  const x = floats(rows * width);
  const y = floats(rows * width);
  const cut = (values: Float32Array, start: number, end: number) =>
    upload<Tensor2D>(values.slice(start * width, end * width), [end - start, width]);

  it('rmsNorm gives each row the bits that it has in a call of its own', async () => {
    const gain = floats(width);
    const norm = (start: number, end: number) => rmsNorm(cut(x, start, end), upload<Tensor1D>(gain, [width]), 1e-5);
    await expectSameBits(rows, PART, norm);
  });

  it('swiglu does', async () => {
    const gated = (start: number, end: number) => swiglu(cut(x, start, end), cut(y, start, end));
    await expectSameBits(rows, PART, gated);
  });

  it('logitStatistics does', async () => {
    const targets = Int32Array.from({ length: rows }, (_, row) => (row * 7) % width);
    const statistics = (start: number, end: number) =>
      logitStatistics(cut(x, start, end), upload<Tensor1D>(targets.slice(start, end), [end - start]));
    await expectSameBits(rows, PART, statistics);
  });

  it('logitDivergence does', async () => {
    const divergence = (start: number, end: number) => logitDivergence(cut(x, start, end), cut(y, start, end));
    await expectSameBits(rows, PART, divergence);
  });
});

describe('rotary over more heads than the library gets at once', () => {
  it('turns each head as in a call of its own', async () => {
    const [heads, t, d] = [40, 512, 64];
    const x = floats(heads * t * d);
    const tables = [floats(t * d), floats(t * d)] as const;
    const turn = (start: number, end: number) => {
      const part = upload<Tensor4D>(x.slice(start * t * d, end * t * d), [1, end - start, t, d]);
      return rotary(part, ...(tables.map((table) => upload<Tensor2D>(table, [t, d])) as [Tensor2D, Tensor2D]));
    };
    await expectSameBits(heads, 8, turn);
  });
});
