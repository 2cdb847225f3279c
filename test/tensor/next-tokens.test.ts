import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  compareNextTokens,
  type Device,
  disposeMatrix,
  type Matrix,
  openDevice,
  scoreNextTokens,
  uploadMatrix,
} from '../../src/tensor/index.js';

let device: Device;

beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

interface Case {
  readonly rows: number;
  readonly width: number;
  readonly vocabulary: number;
  readonly seed: number;
  /** `maxTensorBytes` of the device that uploads and computes: small values split the head and the rows. */
  readonly baseMaxBytes: number;
  readonly maxBytes: number;
}

const cases = fc.record<Case>({
  rows: fc.integer({ min: 1, max: 9 }),
  width: fc.integer({ min: 1, max: 5 }),
  vocabulary: fc.integer({ min: 1, max: 40 }),
  seed: fc.integer({ min: 0, max: 1e6 }),
  baseMaxBytes: fc.integer({ min: 160, max: 700 }),
  maxBytes: fc.integer({ min: 160, max: 700 }),
});

/** mulberry32, so that a failing case can be repeated. */
function random(seed: number, size: number, scale: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: size }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1) * scale;
  });
}

/** hidden · headᵀ in float64. */
function logits(hidden: Float32Array, head: Float32Array, { rows, width, vocabulary }: Case): number[][] {
  return Array.from({ length: rows }, (_, i) =>
    Array.from({ length: vocabulary }, (_, j) => {
      let total = 0;
      for (let k = 0; k < width; k += 1) total += hidden[i * width + k]! * head[j * width + k]!;
      return total;
    }),
  );
}

function logSoftmax(row: readonly number[]): number[] {
  const largest = Math.max(...row);
  const logSum = largest + Math.log(row.reduce((total, z) => total + Math.exp(z - largest), 0));
  return row.map((z) => z - logSum);
}

const limitedTo = (maxTensorBytes: number): Device => ({ ...device, maxTensorBytes });

async function withUploads<T>(
  values: { hidden: Float32Array; head: Float32Array },
  { rows, width, vocabulary }: Case,
  limited: Device,
  use: (hidden: tf.Tensor2D, head: Matrix) => Promise<T>,
): Promise<T> {
  const hidden = device.upload(values.hidden, [rows, width]) as tf.Tensor2D;
  const head = uploadMatrix(limited, values.head, vocabulary, width);
  const result = await use(hidden, head);
  hidden.dispose();
  disposeMatrix(head);
  return result;
}

const valuesOf = (c: Case, seed: number) => ({
  hidden: random(seed, c.rows * c.width, 2),
  head: random(seed + 1, c.vocabulary * c.width, 2),
});

const targetsOf = (c: Case) => Int32Array.from({ length: c.rows }, (_, i) => (i * 7 + c.seed) % c.vocabulary);

/** The argument is right when its logit is within rounding of the largest. */
function expectArgMax(found: number, row: readonly number[]): void {
  expect(row[found]!).toBeGreaterThanOrEqual(Math.max(...row) - 1e-5);
}

describe('scoreNextTokens', () => {
  it('equals a float64 softmax, however head and rows are split, and leaves no tensor behind', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const values = valuesOf(c, c.seed);
        const targets = targetsOf(c);
        const before = device.memory();
        const limited = limitedTo(c.maxBytes);
        const scores = await withUploads(values, c, limited, (h, w) => scoreNextTokens(h, w, targets, limited));
        expect(device.memory()).toEqual(before);
        logits(values.hidden, values.head, c).forEach((row, i) => {
          expect(scores.logProbability[i]).toBeCloseTo(logSoftmax(row)[targets[i]!]!, 4);
          expectArgMax(scores.argMax[i]!, row);
        });
      }),
      { numRuns: 60 },
    );
  });

  it('gives a tie to the lowest index, within a part and across parts', async () => {
    // Columns 1, 3, 6 and 70 of the head are equal and the largest.
    const vocabulary = 75;
    const head = new Float32Array(vocabulary).map((_, j) => ([1, 3, 6, 70].includes(j) ? 2 : 1));
    for (const maxBytes of [2 ** 20, 4 * 20, 4 * 5]) {
      const limited = limitedTo(maxBytes);
      const c: Case = { rows: 3, width: 1, vocabulary, seed: 0, baseMaxBytes: maxBytes, maxBytes };
      const values = { hidden: Float32Array.of(1, 1, -1), head };
      const scores = await withUploads(values, c, limited, (h, w) =>
        scoreNextTokens(h, w, Int32Array.of(0, 1, 2), limited),
      );
      expect([...scores.argMax]).toEqual([1, 1, 0]);
    }
  });

  it('stays finite where exp of a logit would not', async () => {
    const c: Case = { rows: 2, width: 1, vocabulary: 3, seed: 0, baseMaxBytes: 0, maxBytes: 8 };
    const limited = limitedTo(c.maxBytes);
    const values = { hidden: Float32Array.of(1, -1), head: Float32Array.of(0, 200, 300) };
    const scores = await withUploads(values, c, limited, (h, w) => scoreNextTokens(h, w, Int32Array.of(1, 2), limited));
    expect([...scores.logProbability]).toEqual([-100, -300]);
  });

  it('makes no tensor above the limit', async () => {
    const c: Case = { rows: 50, width: 8, vocabulary: 300, seed: 3, baseMaxBytes: 0, maxBytes: 2048 };
    const limited = limitedTo(c.maxBytes);
    const profile = await tf.profile(async () => {
      // Profiling wants a tensor result.
      const scores = await withUploads(valuesOf(c, 3), c, limited, (h, w) =>
        scoreNextTokens(h, w, targetsOf(c), limited),
      );
      return tf.tensor1d(scores.argMax, 'int32');
    });
    const largest = Math.max(
      ...profile.kernels.flatMap(({ outputShapes }) =>
        outputShapes.map((shape) => 4 * tf.util.sizeFromShape(shape as number[])),
      ),
    );
    expect(profile.kernels.length).toBeGreaterThan(50);
    expect(largest).toBeLessThanOrEqual(c.maxBytes);
    (profile.result as tf.Tensor).dispose();
  });

  it('refuses a number of targets that is not the number of rows', async () => {
    const c: Case = { rows: 2, width: 1, vocabulary: 2, seed: 0, baseMaxBytes: 0, maxBytes: 64 };
    await withUploads(valuesOf(c, 0), c, device, async (h, w) => {
      await expect(scoreNextTokens(h, w, Int32Array.of(0), device)).rejects.toThrow(RangeError);
    });
  });
});

describe('compareNextTokens', () => {
  it('equals float64 KL divergence, however the two heads are split, and leaves no tensor behind', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const base = valuesOf(c, c.seed);
        const now = valuesOf(c, c.seed + 2);
        const targets = targetsOf(c);
        const before = device.memory();
        const limited = limitedTo(c.maxBytes);
        const found = await withUploads(base, c, limitedTo(c.baseMaxBytes), (baseHidden, baseHead) =>
          withUploads(now, c, limited, (h, w) => compareNextTokens(baseHidden, baseHead, h, w, targets, limited)),
        );
        expect(device.memory()).toEqual(before);
        const baseLogits = logits(base.hidden, base.head, c);
        logits(now.hidden, now.head, c).forEach((row, i) => {
          const p = logSoftmax(baseLogits[i]!);
          const q = logSoftmax(row);
          const divergence = p.reduce((total, lp, j) => total + Math.exp(lp) * (lp - q[j]!), 0);
          expect(found.divergence[i]).toBeCloseTo(divergence, 4);
          expect(found.logProbability[i]).toBeCloseTo(q[targets[i]!]!, 4);
          expectArgMax(found.argMax[i]!, row);
          expect(found.baseLogProbability[i]).toBeCloseTo(p[targets[i]!]!, 4);
          expectArgMax(found.baseArgMax[i]!, baseLogits[i]!);
        });
      }),
      { numRuns: 60 },
    );
  });

  it('is exactly zero between a model and itself', async () => {
    const c: Case = { rows: 9, width: 4, vocabulary: 33, seed: 5, baseMaxBytes: 0, maxBytes: 512 };
    const limited = limitedTo(c.maxBytes);
    const found = await withUploads(valuesOf(c, 5), c, limited, (h, w) =>
      compareNextTokens(h, w, h, w, targetsOf(c), limited),
    );
    expect([...found.divergence]).toEqual(new Array(9).fill(0));
    expect(found.argMax).toEqual(found.baseArgMax);
  });
});
