import type { Tensor2D } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { distillationLoss, type Predicting } from '../../src/healing/distillation-loss.js';
import { type Device, disposeMatrix, openDevice, uploadMatrix } from '../../src/tensor/index.js';
import { relativeError } from '../evidence/finite-differences.js';
import { uniform } from '../reference/tiny-model.js';

/** A vocabulary of which 64 rows of logits are more than the device makes at once, and rows for two times and a bit. */
const [ROWS, WIDTH, VOCABULARY] = [140, 3, 9000];

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

function values(count: number, scale: number, seed: number): Float32Array {
  const random = uniform(seed);
  return Float32Array.from({ length: count }, () => scale * (2 * random() - 1));
}

const student = { normed: values(ROWS * WIDTH, 2, 1), head: values(VOCABULARY * WIDTH, 2, 2) };
const teacher = { normed: values(ROWS * WIDTH, 2, 3), head: values(VOCABULARY * WIDTH, 2, 4) };
const targets = Int32Array.from(values(ROWS, 1, 5), (value) => Math.floor(((value + 1) / 2) * VOCABULARY));

/** On the device, the head in parts of at most `bytes`. */
function uploaded({ normed, head }: typeof student, cap: number | undefined, bytes: number): Predicting {
  return {
    normed: device.upload(normed, [ROWS, WIDTH]) as Tensor2D,
    head: uploadMatrix({ ...device, maxTensorBytes: bytes }, head, VOCABULARY, WIDTH),
    cap,
  };
}

/** ln p of every token at one row, and d cap·tanh(z / cap) / dz; double precision. */
function logProbabilities({ normed, head }: typeof student, row: number, cap: number | undefined) {
  const logits = new Float64Array(VOCABULARY);
  const slopes = new Float64Array(VOCABULARY).fill(1);
  for (let v = 0; v < VOCABULARY; v++) {
    for (let i = 0; i < WIDTH; i++) logits[v]! += normed[row * WIDTH + i]! * head[v * WIDTH + i]!;
    if (cap === undefined) continue;
    const tanh = Math.tanh(logits[v]! / cap);
    [logits[v], slopes[v]] = [cap * tanh, 1 - tanh ** 2];
  }
  const sum = Math.log(logits.reduce((total, value) => total + Math.exp(value), 0));
  return { logs: logits.map((value) => value - sum), slopes };
}

/** The definition, token by token. */
function expected(share: number, cap: number | undefined) {
  const gradient = new Float64Array(ROWS * WIDTH);
  let [crossEntropy, divergence] = [0, 0];
  for (let row = 0; row < ROWS; row++) {
    const own = logProbabilities(student, row, cap);
    const dense = logProbabilities(teacher, row, cap).logs;
    crossEntropy -= own.logs[targets[row]!]!;
    for (let v = 0; v < VOCABULARY; v++) {
      const [p, q] = [Math.exp(own.logs[v]!), Math.exp(dense[v]!)];
      divergence += q * (dense[v]! - own.logs[v]!);
      const error = p - share * q - (v === targets[row] ? 1 - share : 0);
      for (let i = 0; i < WIDTH; i++)
        gradient[row * WIDTH + i]! += error * own.slopes[v]! * student.head[v * WIDTH + i]!;
    }
  }
  return { gradient, crossEntropy, divergence };
}

describe('distillationLoss, a few rows at a time', () => {
  it.each([
    ['KL alone', 1, undefined],
    ['both, with capped logits', 0.6, 3],
    ['the next token alone', 0, undefined],
  ])('is its definition: %s', async (_, share, cap) => {
    const before = device.memory();
    // A head in parts is what a device with small tensors has.
    const [own, dense] = [uploaded(student, cap, 12 * 4000), uploaded(teacher, cap, 2 ** 30)];
    expect(own.head.parts.length).toBe(3);
    const found = await distillationLoss(own, dense, { targets, share }, device);
    const wanted = expected(share, cap);
    expect(relativeError(found.gradient, wanted.gradient)).toBeLessThan(1e-4);
    expect(found.crossEntropy / wanted.crossEntropy).toBeCloseTo(1, 5);
    expect(found.divergence / wanted.divergence).toBeCloseTo(1, 4);
    for (const { normed, head } of [own, dense]) {
      normed.dispose();
      disposeMatrix(head);
    }
    expect(device.memory()).toEqual(before);
  });
});
