import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ActivationKind,
  activate,
  activateGated,
  availableDevices,
  causalAttention,
  columnSquares,
  type Device,
  enableGradients,
  layerNorm,
  linear,
  openDevice,
  rmsNorm,
  rotary,
  softcap,
  swiglu,
} from '../../src/tensor/index.js';
import type { Values } from '../contract/ops-oracle.js';
import * as oracle from '../contract/ops-oracle.js';
import { gaussian } from '../fixtures/architectures/index.js';
import { geluTanh, silu } from '../reference/architectures/arithmetic.js';
import { attend } from '../reference/architectures/attention.js';
import { geluExact } from '../reference/architectures/layer-norm.js';

/**
 * Every operation of a forward pass: what a device's automatic differentiation gives in float32, against central differences of
 * the operation's definition in float64.
 */
const STEP = 1e-5;
const RELATIVE = 1e-3;

interface Case {
  readonly name: string;
  readonly inputs: readonly Values[];
  readonly run: (...inputs: never[]) => tf.Tensor;
  readonly definition: (...inputs: Values[]) => Values;
}

function random(shape: readonly number[], seed: number, scale = 1): Values {
  const next = gaussian(seed);
  const length = shape.reduce((product, side) => product * side, 1);
  // Exactly float32, so that both sides differentiate at the same place.
  return { shape, data: Float32Array.from({ length }, () => scale * next()) };
}

const activations: Readonly<Record<ActivationKind, (x: number) => number>> = {
  silu,
  gelu: geluExact,
  'gelu-tanh': geluTanh,
};

function causalMask(tokens: number, window = tokens): Values {
  const data = Float32Array.from({ length: tokens * tokens }, (_, index) => {
    const back = Math.floor(index / tokens) - (index % tokens);
    return back >= 0 && back < window ? 0 : -1e9;
  });
  return { data, shape: [tokens, tokens] };
}

/** [b, heads, t, d] by the float64 decoders' attention, sequence by sequence. */
function definedAttention(options: { scale?: number; softcap?: number; window?: number }) {
  return (q: Values, k: Values, v: Values): Values => {
    const [b, heads, t, d] = q.shape as [number, number, number, number];
    const kvHeads = k.shape[1]!;
    const result = new Float64Array(q.data.length);
    const tokens = (x: Values, count: number, batch: number) =>
      Array.from({ length: t }, (_, s) =>
        Float64Array.from({ length: count * d }, (_, i) => {
          const [head, c] = [Math.floor(i / d), i % d];
          return x.data[((batch * count + head) * t + s) * d + c]!;
        }),
      );
    for (let batch = 0; batch < b; batch += 1) {
      const shape = { heads, kvHeads, headDim: d, scale: options.scale ?? d ** -0.5, ...options };
      const mixed = attend(tokens(q, heads, batch), tokens(k, kvHeads, batch), tokens(v, kvHeads, batch), shape);
      mixed.forEach((row, s) => {
        row.forEach((value, i) => {
          result[((batch * heads + Math.floor(i / d)) * t + s) * d + (i % d)] = value;
        });
      });
    }
    return { data: result, shape: q.shape };
  };
}

function attentionCase(
  name: string,
  [b, heads, kvHeads, t, d]: readonly [number, number, number, number, number],
  options: { scale?: number; softcap?: number; window?: number },
): Case {
  const mask = causalMask(t, options.window);
  return {
    name: `causalAttention, ${name}`,
    inputs: [random([b, heads, t, d], 1), random([b, kvHeads, t, d], 2), random([b, kvHeads, t, d], 3)],
    run: (q: tf.Tensor4D, k: tf.Tensor4D, v: tf.Tensor4D) =>
      causalAttention(q, k, v, tf.tensor2d(Float32Array.from(mask.data), [t, t]), options),
    definition: definedAttention(options),
  } as Case;
}

const rows = (x: Values, f: (row: number[]) => number[]): Values => {
  const columns = x.shape.at(-1)!;
  const data = Array.from({ length: x.data.length / columns }, (_, r) =>
    f(Array.from({ length: columns }, (_, c) => x.data[r * columns + c]!)),
  ).flat();
  return { data, shape: x.shape };
};

const cases: readonly Case[] = [
  {
    name: 'linear, by input, weight and bias',
    inputs: [random([4, 5], 1), random([3, 5], 2), random([3], 3)],
    run: (x: tf.Tensor2D, weight: tf.Tensor2D, bias: tf.Tensor1D) =>
      linear(x, { rows: 3, columns: 5, parts: [weight] }, bias),
    definition: (x, weight, bias) => oracle.linear(x, weight, bias),
  } as Case,
  {
    name: 'rmsNorm, by input and gain',
    inputs: [random([3, 6], 4), random([6], 5)],
    run: (x: tf.Tensor2D, gain: tf.Tensor1D) => rmsNorm(x, gain, 1e-3),
    definition: (x, gain) => oracle.rmsNorm(x, gain!, 1e-3),
  } as Case,
  {
    name: 'layerNorm, by input, gain and bias',
    inputs: [random([3, 6], 6), random([6], 7), random([6], 8)],
    run: (x: tf.Tensor2D, gain: tf.Tensor1D, bias: tf.Tensor1D) => layerNorm(x, { gain, bias, epsilon: 1e-3 }),
    definition: (x, gain, bias) =>
      rows(x, (row) => {
        const mean = row.reduce((total, value) => total + value, 0) / row.length;
        const variance = row.reduce((total, value) => total + (value - mean) ** 2, 0) / row.length;
        return row.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-3)) * gain!.data[i]! + bias!.data[i]!);
      }),
  } as Case,
  ...([4, 6].map((width) => ({
    name: `rotary of 4 of ${width}, by input`,
    inputs: [random([2, 2, 3, width], 9)],
    run: (x: tf.Tensor4D) => {
      const [cos, sin] = [random([3, 4], 10), random([3, 4], 11)].map(({ data }) =>
        tf.tensor2d(Float32Array.from(data), [3, 4]),
      );
      return rotary(x, cos!, sin!);
    },
    definition: (x: Values) => oracle.rotary(x, random([3, 4], 10), random([3, 4], 11)),
  })) as unknown as Case[]),
  attentionCase('as many key heads', [2, 2, 2, 4, 3], {}),
  attentionCase('grouped', [1, 4, 2, 5, 3], {}),
  attentionCase('in a window', [1, 2, 1, 6, 2], { window: 3 }),
  attentionCase('with a scale of its own', [1, 2, 1, 4, 3], { scale: 0.3 }),
  attentionCase('with capped scores', [1, 4, 2, 5, 3], { softcap: 1.5 }),
  {
    name: 'swiglu, by gate and up',
    inputs: [random([3, 4], 12, 2), random([3, 4], 13)],
    run: swiglu,
    definition: (gate, up) => oracle.swiglu(gate, up!),
  } as Case,
  ...(Object.keys(activations) as ActivationKind[]).flatMap((kind): Case[] => [
    {
      name: `activate ${kind}`,
      inputs: [random([4, 5], 14, 2)],
      run: (x: tf.Tensor2D) => activate(x, kind),
      definition: (x) => oracle.map(activations[kind], x),
    } as Case,
    {
      name: `activateGated ${kind}, by gate and up`,
      inputs: [random([3, 4], 15, 2), random([3, 4], 16)],
      run: (gate: tf.Tensor2D, up: tf.Tensor2D) => activateGated(gate, up, kind),
      definition: (gate, up) => oracle.elementwise((g, u) => activations[kind](g) * u, gate, up!),
    } as Case,
  ]),
  {
    name: 'softcap',
    inputs: [random([3, 4], 17, 3)],
    run: (x: tf.Tensor2D) => softcap(x, 2),
    definition: (x) => oracle.map((value) => 2 * Math.tanh(value / 2), x),
  } as Case,
  {
    name: 'columnSquares',
    inputs: [random([4, 3], 18)],
    run: columnSquares,
    definition: (x) => oracle.columnSquares(x),
  } as Case,
];

/** d(Σ w · f) / d(inputs[which]) by central differences in float64. */
function differences({ inputs, definition }: Case, which: number, weights: ArrayLike<number>): number[] {
  const scalarAt = (index: number, change: number) => {
    const moved = inputs.map(({ data, shape }, i) => {
      const values = Float64Array.from(data);
      if (i === which) values[index]! += change;
      return { data: values, shape };
    });
    const { data } = definition(...moved);
    return Array.from(data).reduce((total, value, i) => total + weights[i]! * value, 0);
  };
  return Array.from(
    { length: inputs[which]!.data.length },
    (_, i) => (scalarAt(i, STEP) - scalarAt(i, -STEP)) / (2 * STEP),
  );
}

for (const { name: deviceName, available, reason } of await availableDevices()) {
  describe.skipIf(!available)(`on ${deviceName}${available ? '' : ` (${reason})`}`, () => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice(deviceName);
      await enableGradients();
    });
    afterAll(() => device.close());

    it.each(cases)('$name', async (one) => {
      const weights = Float32Array.from(random([one.definition(...one.inputs).data.length], 99).data);
      const before = device.memory().tensors;
      const tensors = one.inputs.map(({ data, shape }) => device.upload(Float32Array.from(data), shape));
      const scalar = (...inputs: tf.Tensor[]) => {
        const made = one.run(...(inputs as never[]));
        return tf.sum(tf.mul(made, tf.tensor(weights, made.shape))) as tf.Scalar;
      };
      const found = tf.tidy(() => tf.grads(scalar)(tensors));
      for (const [which, gradient] of found.entries()) {
        const expected = differences(one, which, weights);
        const largest = Math.max(...expected.map(Math.abs));
        expect(largest).toBeGreaterThan(1e-2);
        const values = await device.read(gradient);
        expect(values.length).toBe(expected.length);
        expected.forEach((value, i) => {
          // Of the element itself, and for elements near zero of a hundredth of the largest.
          const allowed = RELATIVE * Math.max(Math.abs(value), largest / 100);
          expect(Math.abs(values[i]! - value), `input ${which}, element ${i}: ${values[i]}, not ${value}`).toBeLessThan(
            allowed,
          );
        });
      }
      tf.dispose([...tensors, ...found]);
      expect(device.memory().tensors).toBe(before);
    });
  });
}
