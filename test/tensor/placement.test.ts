import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  activate,
  causalAttention,
  columnSquares,
  type Device,
  layerNorm,
  linear,
  openDevice,
  rmsNorm,
  swiglu,
} from '../../src/tensor/index.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

/** The heap gives out multiples of 8 bytes: enough placements to meet each distance from a 64-byte boundary. */
const PLACEMENTS = 24;

const CASES: Record<string, { shapes: number[][]; run: (...inputs: tf.Tensor[]) => tf.Tensor }> = {
  'sum of all': { shapes: [[1024, 256]], run: (x) => tf.sum(x!) },
  'sum of rows': { shapes: [[1024, 256]], run: (x) => tf.sum(x!, 1) },
  'sum of columns': { shapes: [[1024, 256]], run: (x) => tf.sum(x!, 0) },
  mean: { shapes: [[1024, 256]], run: (x) => tf.mean(x!, -1, true) },
  log: { shapes: [[64, 256]], run: (x) => tf.log(tf.abs(x!)) },
  exp: { shapes: [[64, 256]], run: (x) => tf.exp(x!) },
  softmax: { shapes: [[64, 256]], run: (x) => tf.softmax(x!) },
  logSoftmax: { shapes: [[64, 256]], run: (x) => tf.logSoftmax(x!) },
  linear: {
    shapes: [
      [64, 256],
      [96, 256],
    ],
    run: (x, w) => linear(x as tf.Tensor2D, { rows: 96, columns: 256, parts: [w as tf.Tensor2D] }),
  },
  'gradient of a weight': {
    shapes: [
      [256, 64],
      [256, 96],
    ],
    run: (y, x) => tf.matMul(y!, x!, true, false),
  },
  rmsNorm: { shapes: [[64, 256], [256]], run: (x, gain) => rmsNorm(x as tf.Tensor2D, gain as tf.Tensor1D, 1e-5) },
  swiglu: {
    shapes: [
      [64, 256],
      [64, 256],
    ],
    run: (gate, up) => swiglu(gate as tf.Tensor2D, up as tf.Tensor2D),
  },
  layerNorm: {
    shapes: [[64, 256], [256], [256]],
    run: (x, gain, bias) =>
      layerNorm(x as tf.Tensor2D, { gain: gain as tf.Tensor1D, bias: bias as tf.Tensor1D, epsilon: 1e-5 }),
  },
  gelu: { shapes: [[64, 256]], run: (x) => activate(x as tf.Tensor2D, 'gelu') },
  'gelu by tanh': { shapes: [[64, 256]], run: (x) => activate(x as tf.Tensor2D, 'gelu-tanh') },
  columnSquares: { shapes: [[256, 96]], run: (x) => columnSquares(x as tf.Tensor2D) },
  causalAttention: {
    shapes: [
      [1, 4, 48, 32],
      [1, 2, 48, 32],
      [1, 2, 48, 32],
      [48, 48],
    ],
    run: (q, k, v, mask) =>
      causalAttention(q as tf.Tensor4D, k as tf.Tensor4D, v as tf.Tensor4D, tf.neg(tf.abs(mask!)) as tf.Tensor2D),
  },
};

describe('the same input gives the same bytes wherever it lies in memory', () => {
  it.each(Object.entries(CASES))('%s', async (_, { shapes, run }) => {
    const inputs = shapes.map((shape, phase) => {
      const size = shape.reduce((product, side) => product * side, 1);
      return Float32Array.from({ length: size }, (_, i) => Math.sin(1.7 * i + phase) * Math.cos(0.31 * i * i));
    });
    const results = new Set<string>();
    const occupied: tf.Tensor[] = [];
    for (let placement = 0; placement < PLACEMENTS; placement += 1) {
      const tensors = inputs.map((values, i) => {
        // Kept until the end, so that the next tensor cannot take an earlier one's place.
        occupied.push(tf.zeros([2 + 2 * ((5 * placement + i) % 7) + (placement % 3)]));
        return device.upload(values, shapes[i]!);
      });
      const output = tf.tidy(() => run(...tensors));
      results.add(Buffer.from((await device.read(output)).slice().buffer).toString('base64'));
      output.dispose();
      occupied.push(...tensors);
    }
    tf.dispose(occupied);
    expect(results.size).toBe(1);
  });
});
