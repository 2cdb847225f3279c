import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  activate,
  activateGated,
  causalAttention,
  columnSquares,
  type Device,
  disposeMatrix,
  enableGradients,
  layerNorm,
  linear,
  openDevice,
  rmsNorm,
  rotary,
  softcap,
  swiglu,
  uploadMatrix,
} from '../../src/tensor/index.js';

let device: Device;

beforeAll(async () => {
  device = await openDevice('cpu');
  await enableGradients();
});
afterAll(() => device.close());

/** Deterministic values in (−1, 1) without a pattern that symmetry could hide errors in. */
function wave(shape: readonly number[], phase: number): Float32Array {
  const size = shape.reduce((product, side) => product * side, 1);
  return Float32Array.from({ length: size }, (_, i) => Math.sin(1.7 * i + phase) * Math.cos(0.31 * i));
}

function upload(shape: readonly number[], phase: number): tf.Tensor {
  return device.upload(wave(shape, phase), shape);
}

/**
 * Compares the gradient of Σ w·f(x), w fixed and uneven, with central differences of the same function at every element of x.
 */
async function expectGradient(shape: readonly number[], f: (x: tf.Tensor) => tf.Tensor): Promise<void> {
  const weighted = (x: tf.Tensor) =>
    tf.tidy(() => {
      const y = f(x);
      return tf.sum(tf.mul(y, tf.tensor(wave(y.shape, 0.5), y.shape))) as tf.Scalar;
    });
  const start = wave(shape, 0.1);
  const x = device.upload(start, shape);
  const gradient = tf.grad(weighted)(x);
  const found = await device.read(gradient);
  tf.dispose([x, gradient]);
  const step = 1e-2;
  for (let i = 0; i < start.length; i += 1) {
    const [above, below] = await Promise.all(
      [step, -step].map(async (change) => {
        const moved = device.upload(
          start.map((value, j) => (i === j ? value + change : value)),
          shape,
        );
        const loss = weighted(moved);
        const value = (await device.read(loss))[0]!;
        tf.dispose([moved, loss]);
        return value;
      }),
    );
    const expected = (above! - below!) / (2 * step);
    expect(Math.abs(found[i]! - expected), `element ${i}: ${found[i]}, not ${expected}`).toBeLessThan(
      5e-3 * Math.max(1, Math.abs(expected)),
    );
  }
}

/** Watches how many bytes the device holds from now on; returns what ends that and gives the most there were. */
function watchBytes(): () => number {
  const backend = tf.backend() as tf.KernelBackend & { move: (...args: unknown[]) => void };
  const original = backend.move;
  const before = device.memory().bytes;
  let most = 0;
  backend.move = (...args) => {
    original.apply(backend, args);
    most = Math.max(most, device.memory().bytes - before);
  };
  return () => {
    backend.move = original;
    return most;
  };
}

describe('gradients through the operations', () => {
  it('linear, by its input and by each part of its weight', async () => {
    const weight = uploadMatrix(device, wave([5, 4], 2), 5, 4);
    const bias = upload([5], 3) as tf.Tensor1D;
    const x = upload([3, 4], 4) as tf.Tensor2D;
    const lower = upload([2, 4], 5);
    await expectGradient([3, 4], (input) => linear(input as tf.Tensor2D, weight, bias));
    await expectGradient([3, 4], (upper) => linear(x, { rows: 5, columns: 4, parts: [upper, lower] }, bias));
    disposeMatrix(weight);
    tf.dispose([bias, x, lower]);
  });

  it('rmsNorm, by its input and its gain', async () => {
    const x = upload([3, 5], 1) as tf.Tensor2D;
    const gain = upload([5], 2) as tf.Tensor1D;
    await expectGradient([3, 5], (input) => rmsNorm(input as tf.Tensor2D, gain, 1e-5));
    await expectGradient([5], (g) => rmsNorm(x, g as tf.Tensor1D, 1e-5));
    tf.dispose([x, gain]);
  });

  it('rotary', async () => {
    const cos = upload([3, 4], 1) as tf.Tensor2D;
    const sin = upload([3, 4], 2) as tf.Tensor2D;
    await expectGradient([1, 2, 3, 4], (x) => rotary(x as tf.Tensor4D, cos, sin));
    tf.dispose([cos, sin]);
  });

  it('causalAttention of more heads than go through at once, as of each text alone', async () => {
    // 12 key heads of 128 KiB of scores each, of which 8 are made at once.
    const [texts, t, d] = [3, 128, 2];
    const q = upload([texts, 8, t, d], 1) as tf.Tensor4D;
    const [k, v] = [2, 3].map((seed) => upload([texts, 4, t, d], seed) as tf.Tensor4D) as [tf.Tensor4D, tf.Tensor4D];
    const ahead = Float32Array.from({ length: t * t }, (_, i) => (i % t > Math.floor(i / t) ? -1e9 : 0));
    const mask = device.upload(ahead, [t, t]) as tf.Tensor2D;
    const gradients = (...inputs: tf.Tensor4D[]) =>
      tf.grads((a, b, c) => {
        const output = causalAttention(a as tf.Tensor4D, b as tf.Tensor4D, c as tf.Tensor4D, mask);
        return tf.sum(tf.square(output));
      })(inputs);
    const together = gradients(q, k, v);
    for (let text = 0; text < texts; text += 1) {
      const alone = gradients(...[q, k, v].map((x) => tf.slice(x, text, 1)));
      for (const [i, one] of alone.entries())
        expect(await device.read(tf.slice(together[i]!, text, 1))).toEqual(await device.read(one));
      tf.dispose(alone);
    }
    tf.dispose([q, k, v, mask, ...together]);
  });

  it('causalAttention with grouped queries, by query, key and value', async () => {
    const mask = device.upload(Float32Array.of(0, -1e9, -1e9, 0, 0, -1e9, 0, 0, 0), [3, 3]) as tf.Tensor2D;
    const q = upload([1, 4, 3, 2], 1) as tf.Tensor4D;
    const k = upload([1, 2, 3, 2], 2) as tf.Tensor4D;
    const v = upload([1, 2, 3, 2], 3) as tf.Tensor4D;
    await expectGradient(q.shape, (x) => causalAttention(x as tf.Tensor4D, k, v, mask));
    await expectGradient(k.shape, (x) => causalAttention(q, x as tf.Tensor4D, v, mask));
    await expectGradient(v.shape, (x) => causalAttention(q, k, x as tf.Tensor4D, mask));
    tf.dispose([mask, q, k, v]);
  });

  it('causalAttention of more heads than are scored at once, which keeps no scores until the end', async () => {
    // 48 MiB of scores, 32 MiB at once: a tape through the parts would keep both times three of them.
    const [heads, t] = [48, 512];
    const forbidden = Float32Array.from({ length: t * t }, (_, i) => (i % t > Math.floor(i / t) ? -1e9 : 0));
    const mask = device.upload(forbidden, [t, t]) as tf.Tensor2D;
    const [q, k, v] = [1, 2, 3].map((phase) => upload([1, heads, t, 2], phase)) as [
      tf.Tensor4D,
      tf.Tensor4D,
      tf.Tensor4D,
    ];
    const loss = (...inputs: tf.Tensor[]) =>
      tf.sum(
        tf.square(causalAttention(inputs[0] as tf.Tensor4D, inputs[1] as tf.Tensor4D, inputs[2] as tf.Tensor4D, mask)),
      );
    const peak = watchBytes();
    const found = tf.grads(loss as never)([q, k, v]);
    expect(peak() / 2 ** 20).toBeLessThan(6 * 32);
    // Heads have nothing to do with each other: the last of them alone is what it is among all.
    const last = [q, k, v].map((x) => tf.slice(x, [0, heads - 1, 0, 0], [1, 1, t, 2]));
    const alone = tf.grads(loss as never)(last);
    for (const [i, gradient] of alone.entries()) {
      const among = tf.slice(found[i]!, [0, heads - 1, 0, 0], [1, 1, t, 2]);
      expect(await device.read(among)).toEqual(await device.read(gradient));
      among.dispose();
    }
    tf.dispose([mask, q, k, v, ...found, ...last, ...alone]);
  });

  it('swiglu, by gate and by up', async () => {
    const other = upload([2, 3], 1) as tf.Tensor2D;
    await expectGradient([2, 3], (gate) => swiglu(gate as tf.Tensor2D, other));
    await expectGradient([2, 3], (up) => swiglu(other, up as tf.Tensor2D));
    other.dispose();
  });

  it.each(['silu', 'gelu', 'gelu-tanh'] as const)('activate by %s, alone and gated', async (kind) => {
    const other = upload([2, 3], 1) as tf.Tensor2D;
    await expectGradient([2, 3], (x) => activate(x as tf.Tensor2D, kind));
    await expectGradient([2, 3], (gate) => activateGated(gate as tf.Tensor2D, other, kind));
    await expectGradient([2, 3], (up) => activateGated(other, up as tf.Tensor2D, kind));
    other.dispose();
  });

  it('layerNorm, by its input, its gain and its bias', async () => {
    const x = upload([3, 5], 1) as tf.Tensor2D;
    const gain = upload([5], 2) as tf.Tensor1D;
    const bias = upload([5], 3) as tf.Tensor1D;
    await expectGradient([3, 5], (input) => layerNorm(input as tf.Tensor2D, { gain, bias, epsilon: 1e-2 }));
    await expectGradient([5], (g) => layerNorm(x, { gain: g as tf.Tensor1D, bias, epsilon: 1e-2 }));
    await expectGradient([5], (b) => layerNorm(x, { gain, bias: b as tf.Tensor1D, epsilon: 1e-2 }));
    tf.dispose([x, gain, bias]);
  });

  it('causalAttention with a scale and a cap, by query, key and value', async () => {
    const mask = device.upload(Float32Array.of(0, -1e9, -1e9, 0, 0, -1e9, -1e9, 0, 0), [3, 3]) as tf.Tensor2D;
    const q = upload([1, 4, 3, 2], 1) as tf.Tensor4D;
    const k = upload([1, 2, 3, 2], 2) as tf.Tensor4D;
    const v = upload([1, 2, 3, 2], 3) as tf.Tensor4D;
    const options = { scale: 1.5, softcap: 0.8 };
    await expectGradient(q.shape, (x) => causalAttention(x as tf.Tensor4D, k, v, mask, options));
    await expectGradient(k.shape, (x) => causalAttention(q, x as tf.Tensor4D, v, mask, options));
    await expectGradient(v.shape, (x) => causalAttention(q, k, x as tf.Tensor4D, mask, options));
    tf.dispose([mask, q, k, v]);
  });

  it('softcap', async () => {
    await expectGradient([4, 3], (x) => softcap(x, 0.7));
  });

  it('columnSquares', async () => {
    await expectGradient([4, 3], (x) => columnSquares(x as tf.Tensor2D));
  });
});

describe('training', () => {
  it('fits a line with Adam and leaks no tensor from step to step', async () => {
    const x = upload([16, 1], 0);
    const y = tf.tidy(() => tf.add(tf.mul(x, 3), 0.5));
    const slope = tf.variable(tf.zeros([1]));
    const offset = tf.variable(tf.zeros([1]));
    const optimizer = tf.train.adam(0.1);
    const step = () => {
      const loss = optimizer.minimize(() => tf.mean(tf.square(tf.sub(tf.add(tf.mul(x, slope), offset), y))), true);
      loss?.dispose();
    };
    step();
    const { tensors } = device.memory();
    for (let i = 0; i < 200; i += 1) step();
    expect(device.memory().tensors).toBe(tensors);
    expect((await device.read(slope))[0]).toBeCloseTo(3, 2);
    expect((await device.read(offset))[0]).toBeCloseTo(0.5, 2);
    tf.dispose([x, y, slope, offset]);
    optimizer.dispose();
  });
});
