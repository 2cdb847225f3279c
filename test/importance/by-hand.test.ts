import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Evidence, metrics } from '../../src/importance/index.js';
import { inverseDiagonal } from '../../src/solvers/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';

/**
 * A 2 × 3 matrix, worked out on paper. Two tokens go in, x₁ = (1, 2, 0) and x₂ = (3, −2, 0): the third input never fires.
 * Two windows gave the gradients g₁ and g₂ below.
 */
const W = [1, -2, 0, 3, 4, -6];
const G1 = [1, -2, 2, 0, 0.5, -1];
const G2 = [0, 0, 2, 0, 0, 0];

/** Columns (1, 3), (2, −2), (0, 0). */
const COLUMNS: Record<string, number[]> = {
  inputNorms: [Math.sqrt(10), Math.sqrt(8), 0],
  inputMeans: [2, 0, 0],
  inputVariances: [1, 4, 0],
  inputAbsMeans: [2, 2, 0],
  columnAbsSums: [4, 6, 6],
};
/** (g₁ + g₂) / 2 and (g₁² + g₂²) / 2: the mean's square would be another thing. */
const WEIGHTS: Record<string, number[]> = {
  gradient: [0.5, -1, 2, 0, 0.25, -0.5],
  fisher: [0.5, 2, 4, 0, 0.125, 0.5],
};
/** 1 % of the mean diagonal of G = [10 −4 0; −4 8 0; 0 0 0], (10 + 8 + 0) / 3. */
const DAMPING = 0.06;
/** H = (2/2) G + damping. Its first two rows: [10.06 −4; −4 8.06], determinant 65.0836. */
const INVERSE = [8.06 / 65.0836, 10.06 / 65.0836, 0];

const BY_HAND: Record<string, number[]> = {
  magnitude: [1, 2, 0, 3, 4, 6],
  wanda: [Math.sqrt(10), 2 * Math.sqrt(8), 0, 3 * Math.sqrt(10), 4 * Math.sqrt(8), 0],
  // Rows sum to 3 and 13; √‖X_j‖ is 10^¼ and 8^¼.
  ria: [
    (1 / 4 + 1 / 3) * 10 ** 0.25,
    (2 / 6 + 2 / 3) * 8 ** 0.25,
    0,
    (3 / 4 + 3 / 13) * 10 ** 0.25,
    (4 / 6 + 4 / 13) * 8 ** 0.25,
    0,
  ],
  taylor: [0.5, 2, 0, 0, 1, 3],
  fisher: [0.25, 4, 0, 0, 1, 9],
  // w² · 65.0836 / 16.12 and w² · 65.0836 / 20.12.
  hessian: [4.037444, 12.939085, 0, 36.336998, 51.756342, 0],
  activation: [2, 2, 0, 2, 2, 0],
  // Summed over rows, FLAP's Var(X_j) · ‖W_:j‖²: 1 · 10, 4 · 20 and 0.
  flap: [1, 16, 0, 9, 64, 0],
};

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

describe('a 2 × 3 matrix', () => {
  it.each(metrics.names)('has the scores that paper gives by %s', async (name) => {
    const metric = await metrics.load(name);
    const uploaded: Record<string, Tensor> = {};
    for (const [field, values] of Object.entries({ ...COLUMNS, inverseHessianDiagonal: INVERSE })) {
      uploaded[field] = device.upload(Float32Array.from(values), [3]);
    }
    for (const [field, values] of Object.entries(WEIGHTS)) {
      uploaded[field] = device.upload(Float32Array.from(values), [2, 3]);
    }
    const weight = device.upload(Float32Array.from(W), [2, 3]) as Tensor2D;
    const scores = metric.score(weight, uploaded as Evidence);
    const values = (await device.read(scores)) as Float32Array;
    BY_HAND[name]!.forEach((exact, i) => {
      expect(values[i], `weight ${i}`).toBeCloseTo(exact, 4);
    });
    for (const tensor of [weight, scores, ...Object.values(uploaded)]) tensor.dispose();
  });

  it('takes its inverse Hessian from the Gram matrix, damped by 1 % of the mean diagonal', async () => {
    const values = Float32Array.of(10, -4, 0, -4, 8, 0, 0, 0, 0);
    const diagonal = await inverseDiagonal({ values, columns: 3 });
    expect(diagonal[0]).toBeCloseTo(INVERSE[0]!, 9);
    expect(diagonal[1]).toBeCloseTo(INVERSE[1]!, 9);
    expect(diagonal[2]).toBeCloseTo(1 / DAMPING, 9);
  });

  it('has means and squares of the two gradients that differ where the windows do', () => {
    G1.forEach((first, i) => {
      const second = G2[i]!;
      expect((first + second) / 2).toBe(WEIGHTS['gradient']![i]);
      expect((first ** 2 + second ** 2) / 2).toBe(WEIGHTS['fisher']![i]);
    });
  });
});
