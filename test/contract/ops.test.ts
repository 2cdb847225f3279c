import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCpu } from '../../src/tensor/backends/cpu.js';
import {
  activate,
  activateGated,
  availableDevices,
  causalAttention,
  columnSquares,
  compareNextTokens,
  type Device,
  disposeMatrix,
  layerNorm,
  linear,
  NextTokenScorer,
  openDevice,
  rmsNorm,
  rotary,
  scoreNextTokens,
  softcap,
  swiglu,
  uploadMatrix,
} from '../../src/tensor/index.js';
import type { Values } from './ops-oracle.js';
import * as oracle from './ops-oracle.js';

/** One device, opened in one way, and why it cannot be tested here when it cannot. */
interface Subject {
  readonly name: string;
  readonly open: () => Promise<Device>;
  readonly missing?: string | undefined;
}

const found = Object.fromEntries((await availableDevices()).map((device) => [device.name, device]));
const withoutLibrary = () => {
  throw new Error('left out on purpose');
};

const subjects: readonly Subject[] = [
  {
    name: 'cpu with ONNX Runtime',
    open: () => openDevice('cpu'),
    missing: found['cpu']!.description.includes('ONNX') ? undefined : 'onnxruntime-node is not installed',
  },
  { name: 'cpu on plain WASM', open: () => openCpu({ loadLibrary: withoutLibrary }) },
  { name: 'webgpu', open: () => openDevice('webgpu'), missing: found['webgpu']!.reason },
  { name: 'cuda', open: () => openDevice('cuda'), missing: found['cuda']!.reason },
];

/** mulberry32 in (−1, 1): the same values at every run. */
function random(shape: readonly number[], seed: number): Values {
  let state = seed;
  const count = shape.reduce((product, side) => product * side, 1);
  const data = Float32Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  });
  return { data, shape };
}

interface Case {
  readonly name: string;
  readonly inputs: readonly Values[];
  readonly run: (...tensors: never[]) => tf.Tensor;
  readonly expected: () => Values;
}

function operation<Inputs extends readonly Values[]>(
  name: string,
  inputs: Inputs,
  run: (...tensors: never[]) => tf.Tensor,
  expected: (...values: Inputs) => Values,
): Case {
  const shapes = inputs.map(({ shape }) => `[${shape.join(' ')}]`).join(' ');
  let values: Values | undefined;
  return {
    name: `${name} ${shapes}`,
    inputs,
    run,
    expected: () => {
      values ??= expected(...inputs);
      return values;
    },
  };
}

/** 0 where row i may look at column j: not ahead, and at most `window` back counting itself. */
function causalMask(tokens: number, window = tokens): Values {
  const data = Float32Array.from({ length: tokens * tokens }, (_, index) => {
    const back = Math.floor(index / tokens) - (index % tokens);
    return back >= 0 && back < window ? 0 : -1e9;
  });
  return { data, shape: [tokens, tokens] };
}

const attentionShapes: readonly [
  label: string,
  batch: number,
  heads: number,
  kvHeads: number,
  tokens: number,
  width: number,
  window?: number,
][] = [
  ['one of everything', 1, 1, 1, 1, 1],
  ['multi-head', 2, 3, 3, 17, 5],
  ['grouped', 1, 4, 2, 65, 6],
  ['multi-query', 2, 4, 1, 3, 7],
  ['grouped in a sliding window', 1, 6, 3, 33, 4, 5],
  ['window of one', 1, 2, 1, 9, 3, 1],
  ['more than one call of the fused kernel takes', 3, 6, 3, 251, 3],
  ['more scores of one head than the fused kernel takes', 1, 2, 1, 1100, 3],
  ['more scores than are made at once', 1, 18, 9, 701, 2],
];

const far: Values = { data: Float32Array.of(-200, -5, -3, 0, 3, 5, 30, 200), shape: [2, 4] };

const activations: readonly Case[] = [random([1, 1], 9), random([17, 65], 9), far].flatMap((x) => [
  operation(
    'silu',
    [x],
    (v) => activate(v, 'silu'),
    (v) => oracle.map((z) => z / (1 + Math.exp(-z)), v),
  ),
  operation(
    'gelu',
    [x],
    (v) => activate(v, 'gelu'),
    (v) => oracle.map(oracle.gelu, v),
  ),
  operation(
    'gelu by tanh',
    [x],
    (v) => activate(v, 'gelu-tanh'),
    (v) => oracle.map(oracle.geluTanh, v),
  ),
  operation(
    'gated gelu by tanh',
    [x, random(x.shape, 10)],
    (gate, up) => activateGated(gate, up, 'gelu-tanh'),
    (gate, up) => oracle.elementwise((g, u) => oracle.geluTanh(g) * u, gate, up),
  ),
  operation(
    'softcap',
    [x],
    (v) => softcap(v, 3),
    (v) => oracle.map((z) => 3 * Math.tanh(z / 3), v),
  ),
]);

/** Products up to about ±40, which a cap of 2 bends. */
const large = (shape: readonly number[], seed: number) => oracle.map((z) => Math.fround(4 * z), random(shape, seed));

/** A window of 9, as the mask has it, lets a device's kernel in. */
const scorings: readonly { scale?: number; cap?: number; window?: number }[] = [
  { scale: 0.3 },
  { cap: 2 },
  { scale: 0.3, cap: 2 },
  { scale: 0.3, window: 9 },
  { scale: 0.3, cap: 2, window: 9 },
];

const ourOperations: readonly Case[] = [
  ...activations,
  ...[
    [1, 2],
    [3, 17],
    [65, 130],
  ].map((shape) =>
    operation(
      'layerNorm',
      [random(shape, 1), random(shape.slice(1), 2), random(shape.slice(1), 3)],
      (x, gain, bias) => layerNorm(x, { gain, bias, epsilon: 1e-5 }),
      (x, gain, bias) => oracle.layerNorm(x, gain, bias, 1e-5),
    ),
  ),
  ...scorings.map((options) =>
    operation(
      `causalAttention with ${JSON.stringify(options)}`,
      [large([2, 4, 17, 6], 6), large([2, 2, 17, 6], 7), random([2, 2, 17, 6], 8), causalMask(17, 9)],
      (q, k, v, mask) => causalAttention(q, k, v, mask, { ...options, softcap: options.cap }),
      (q, k, v, mask) => oracle.attention(q!, k!, v!, mask!, options),
    ),
  ),
  ...[
    [1, 1],
    [3, 17],
    [65, 130],
  ].map((shape) =>
    operation(
      'rmsNorm',
      [random(shape, 1), random(shape.slice(1), 2)],
      (x, gain) => rmsNorm(x, gain, 1e-5),
      (x, gain) => oracle.rmsNorm(x, gain, 1e-5),
    ),
  ),
  ...[
    [1, 1, 1, 2],
    [2, 3, 17, 6],
    [1, 4, 65, 10],
    [2, 3, 17, 10, 4],
  ].map(([b, heads, t, d, turned = d!]) =>
    operation(
      'rotary',
      [random([b!, heads!, t!, d!], 3), random([t!, turned], 4), random([t!, turned], 5)],
      rotary,
      oracle.rotary,
    ),
  ),
  ...attentionShapes.map(([label, b, heads, kvHeads, t, d, window]) =>
    operation(
      `causalAttention, ${label},`,
      [
        random([b, heads, t, d], 6),
        random([b, kvHeads, t, d], 7),
        random([b, kvHeads, t, d], 8),
        causalMask(t, window),
      ],
      causalAttention,
      (q, k, v, mask) => oracle.attention(q!, k!, v!, mask!),
    ),
  ),
  ...[
    [1, 1],
    [3, 17],
    [65, 130],
  ].map((shape) => operation('swiglu', [random(shape, 9), random(shape, 10)], swiglu, oracle.swiglu)),
  operation(
    'swiglu far from zero',
    [{ data: Float32Array.of(-200, -30, 30, 200), shape: [2, 2] }, random([2, 2], 1)],
    swiglu,
    oracle.swiglu,
  ),
  ...[
    [1, 1],
    [17, 3],
    [130, 65],
  ].map((shape) => operation('columnSquares', [random(shape, 11)], columnSquares, oracle.columnSquares)),
];

const products: readonly [a: number[], b: number[], transposeA?: boolean, transposeB?: boolean][] = [
  [
    [1, 1],
    [1, 1],
  ],
  [
    [3, 17],
    [17, 65],
  ],
  [[17, 3], [17, 5], true],
  [[65, 130], [17, 130], false, true],
  [[130, 3], [17, 130], true, true],
  [
    [3, 5, 7],
    [3, 7, 2],
  ],
  [
    [3, 5, 7],
    [7, 2],
  ],
  [[5, 7], [3, 2, 7], false, true],
  [
    [1, 5, 7],
    [4, 7, 2],
  ],
  [
    [2, 3, 5, 7],
    [2, 3, 7, 2],
  ],
  [[2, 3, 7, 5], [2, 3, 2, 7], true, true],
  [
    [2, 1, 5, 7],
    [1, 3, 7, 2],
  ],
  [
    [2, 3, 5, 7],
    [3, 7, 2],
  ],
  [[2, 3, 5, 7], [2, 1, 2, 7], false, true],
  [
    [2, 0],
    [0, 3],
  ],
  [
    [0, 2],
    [2, 3],
  ],
  [
    [2, 3, 0],
    [2, 0, 2],
  ],
];

const matrixProducts: readonly Case[] = products.map(([a, b, transposeA = false, transposeB = false]) =>
  operation(
    `matMul${transposeA ? ', first transposed,' : ''}${transposeB ? ', second transposed,' : ''}`,
    [random(a, 12), random(b, 13)],
    (x, y) => tf.matMul(x, y, transposeA, transposeB),
    (x, y) => oracle.matMul(x, y, transposeA, transposeB),
  ),
);

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
const positive = (shape: readonly number[]) => oracle.map((x) => Math.fround(Math.abs(x) + 0.1), random(shape, 20));

/** Both sides of the size at which the CPU device changes from one kernel to another. */
const plainOperations: readonly Case[] = [
  [3, 5, 7],
  [17, 5, 65],
].flatMap((shape) => [
  operation(
    'add',
    [random(shape, 14), random(shape, 15)],
    (a, b) => tf.add(a, b),
    (a, b) => oracle.elementwise((x, y) => x + y, a, b),
  ),
  operation(
    'sub, broadcast,',
    [random(shape, 14), random(shape.slice(1), 15)],
    (a, b) => tf.sub(a, b),
    (a, b) => oracle.elementwise((x, y) => x - y, a, b),
  ),
  operation(
    'mul, broadcast both ways,',
    [random([shape[0]!, 1, shape[2]!], 14), random([shape[1]!, 1], 15)],
    (a, b) => tf.mul(a, b),
    (a, b) => oracle.elementwise((x, y) => x * y, a, b),
  ),
  operation(
    'div by a scalar',
    [random(shape, 14), { data: Float32Array.of(3), shape: [] }],
    (a, b) => tf.div(a, b),
    (a, b) => oracle.elementwise((x, y) => x / y, a, b),
  ),
  operation(
    'exp',
    [random(shape, 16)],
    (x) => tf.exp(x),
    (x) => oracle.map(Math.exp, x),
  ),
  operation(
    'neg',
    [random(shape, 16)],
    (x) => tf.neg(x),
    (x) => oracle.map((v) => -v, x),
  ),
  operation(
    'abs',
    [random(shape, 16)],
    (x) => tf.abs(x),
    (x) => oracle.map(Math.abs, x),
  ),
  operation(
    'square',
    [random(shape, 16)],
    (x) => tf.square(x),
    (x) => oracle.map((v) => v * v, x),
  ),
  operation(
    'tanh',
    [random(shape, 16)],
    (x) => tf.tanh(x),
    (x) => oracle.map(Math.tanh, x),
  ),
  operation(
    'sigmoid',
    [random(shape, 16)],
    (x) => tf.sigmoid(x),
    (x) => oracle.map((v) => 1 / (1 + Math.exp(-v)), x),
  ),
  operation(
    'log',
    [positive(shape)],
    (x) => tf.log(x),
    (x) => oracle.map(Math.log, x),
  ),
  operation(
    'sqrt',
    [positive(shape)],
    (x) => tf.sqrt(x),
    (x) => oracle.map(Math.sqrt, x),
  ),
  operation(
    'rsqrt',
    [positive(shape)],
    (x) => tf.rsqrt(x),
    (x) => oracle.map((v) => 1 / Math.sqrt(v), x),
  ),
  operation('softmax', [random(shape, 17)], (x) => tf.softmax(x), oracle.softmax),
  operation(
    'transpose 2 0 1',
    [random(shape, 17)],
    (x) => tf.transpose(x, [2, 0, 1]),
    (x) => oracle.transpose(x, [2, 0, 1]),
  ),
  operation(
    'transpose 0 2 1',
    [random(shape, 17)],
    (x) => tf.transpose(x, [0, 2, 1]),
    (x) => oracle.transpose(x, [0, 2, 1]),
  ),
  operation(
    'sum over all',
    [random(shape, 18)],
    (x) => tf.sum(x),
    (x) => oracle.reduce(sum, x, [0, 1, 2]),
  ),
  operation(
    'sum over the last',
    [random(shape, 18)],
    (x) => tf.sum(x, -1),
    (x) => oracle.reduce(sum, x, [2]),
  ),
  operation(
    'mean over two',
    [random(shape, 18)],
    (x) => tf.mean(x, [0, 1]),
    (x) => oracle.reduce((v) => sum(v) / v.length, x, [0, 1]),
  ),
  operation(
    'max over the middle',
    [random(shape, 18)],
    (x) => tf.max(x, 1),
    (x) => oracle.reduce((v) => Math.max(...v), x, [1]),
  ),
]);

/** float32 sums in another order, and a GPU's own exp: relative to the largest value, as rounding errors are. */
function expectClose(values: ArrayLike<number>, expected: Values): void {
  expect(values.length).toBe(expected.data.length);
  const scale = Math.max(1, ...Array.from(expected.data, Math.abs));
  for (let i = 0; i < values.length; i += 1) {
    const error = Math.abs(values[i]! - expected.data[i]!);
    if (!(error <= 2e-5 * scale)) throw new Error(`element ${i} is ${values[i]}, not ${expected.data[i]}`);
  }
}

describe.each(subjects)('$name', ({ open, missing }) => {
  if (missing !== undefined) {
    it.skip(`cannot run here: ${missing}`, () => {});
    return;
  }
  let device: Device;
  beforeAll(async () => {
    device = await open();
  });
  afterAll(() => device.close());

  const upload = ({ data, shape }: Values) => device.upload(Float32Array.from(data), shape);

  /** Runs one piece of work and checks that it leaves as many tensors behind as there were. */
  async function withoutLeak(work: () => Promise<void>): Promise<void> {
    const before = device.memory();
    await work();
    expect(device.memory()).toEqual(before);
  }

  it.each([...ourOperations, ...matrixProducts, ...plainOperations])('$name', ({ inputs, run, expected }) =>
    withoutLeak(async () => {
      const tensors = inputs.map(upload);
      const result = run(...(tensors as never[]));
      const wanted = expected();
      expect(result.shape).toEqual(wanted.shape);
      expectClose(await device.read(result), wanted);
      tf.dispose([result, ...tensors]);
    }),
  );

  it.each([
    { rows: 1, inner: 1, columns: 1, maxBytes: 2 ** 20, biased: false },
    { rows: 3, inner: 17, columns: 65, maxBytes: 2 ** 20, biased: true },
    { rows: 3, inner: 17, columns: 65, maxBytes: 17 * 4 * 7, biased: true },
    { rows: 130, inner: 65, columns: 17, maxBytes: 65 * 4, biased: false },
  ])(
    'linear $rows × $inner → $columns, weights in parts of $maxBytes bytes',
    ({ rows, inner, columns, maxBytes, biased }) =>
      withoutLeak(async () => {
        const [x, weight, bias] = [random([rows, inner], 21), random([columns, inner], 22), random([columns], 23)];
        const matrix = uploadMatrix(
          { ...device, maxTensorBytes: maxBytes },
          Float32Array.from(weight.data),
          columns,
          inner,
        );
        expect(matrix.parts).toHaveLength(Math.ceil(columns / Math.floor(maxBytes / (4 * inner))));
        const [input, offset] = [upload(x) as tf.Tensor2D, upload(bias) as tf.Tensor1D];
        const result = biased ? linear(input, matrix, offset) : linear(input, matrix);
        expectClose(await device.read(result), biased ? oracle.linear(x, weight, bias) : oracle.linear(x, weight));
        disposeMatrix(matrix);
        tf.dispose([input, offset, result]);
      }),
  );

  it('scores and compares next tokens over a head in parts', () =>
    withoutLeak(async () => {
      const [rows, width, vocabulary] = [17, 5, 65];
      const [baseHidden, baseHead] = [random([rows, width], 24), random([vocabulary, width], 25)];
      const [hidden, head] = [random([rows, width], 26), random([vocabulary, width], 27)];
      const targets = Int32Array.from({ length: rows }, (_, i) => (i * 31) % vocabulary);
      const limited = { ...device, maxTensorBytes: 4 * width * 20 };
      const matrices = [baseHead, head].map(({ data }) =>
        uploadMatrix(limited, Float32Array.from(data), vocabulary, width),
      );
      const states = [baseHidden, hidden].map((values) => upload(values) as tf.Tensor2D);
      const scores = await scoreNextTokens(states[1]!, matrices[1]!, targets, limited);
      const compared = await compareNextTokens(states[0]!, matrices[0]!, states[1]!, matrices[1]!, targets, limited);
      const p = oracle.softmax(oracle.linear(baseHidden, baseHead)).data;
      const q = oracle.softmax(oracle.linear(hidden, head)).data;
      for (let i = 0; i < rows; i += 1) {
        const [from, to] = [i * vocabulary, (i + 1) * vocabulary];
        const [rowP, rowQ] = [Array.from(p).slice(from, to), Array.from(q).slice(from, to)];
        const divergence = sum(rowP.map((share, j) => share * Math.log(share / rowQ[j]!)));
        expect(compared.divergence[i]).toBeCloseTo(divergence, 5);
        expect(compared.baseArgMax[i]).toBe(rowP.indexOf(Math.max(...rowP)));
        for (const found of [scores, compared]) {
          expect(found.logProbability[i]).toBeCloseTo(Math.log(rowQ[targets[i]!]!), 5);
          expect(found.argMax[i]).toBe(rowQ.indexOf(Math.max(...rowQ)));
        }
      }
      matrices.forEach(disposeMatrix);
      tf.dispose(states);
    }));

  it('scores next tokens by capped logits', () =>
    withoutLeak(async () => {
      const [values, rows] = [large([3, 5], 24), large([17, 5], 25)];
      const head = uploadMatrix({ ...device, maxTensorBytes: 4 * 5 * 7 }, Float32Array.from(rows.data), 17, 5);
      const hidden = upload(values) as tf.Tensor2D;
      const targets = Int32Array.of(4, 0, 16);
      const scorer = new NextTokenScorer(targets);
      await scorer.add({ hidden, head, softcap: 2 }, device);
      const capped = oracle.map((z) => 2 * Math.tanh(z / 2), oracle.linear(values, rows));
      const shares = oracle.softmax(capped).data;
      targets.forEach((target, i) => {
        expect(scorer.scores().logProbability[i]).toBeCloseTo(Math.log(shares[17 * i + target]!), 5);
      });
      disposeMatrix(head);
      hidden.dispose();
    }));

  it('gives equal logits to the lowest index', () =>
    withoutLeak(async () => {
      // On WebGPU, tf.argMax answers 256 here: its threads take every 64th column each and meet in the order of threads.
      const head = new Float32Array(300).map((_, j) => (j === 65 || j === 256 ? 2 : 1));
      const matrix = uploadMatrix(device, head, 300, 1);
      const hidden = device.upload(Float32Array.of(1), [1, 1]) as tf.Tensor2D;
      expect([...(await scoreNextTokens(hidden, matrix, Int32Array.of(0), device)).argMax]).toEqual([65]);
      disposeMatrix(matrix);
      hidden.dispose();
    }));

  it('multiplies whole numbers exactly, or not at all', () =>
    withoutLeak(async () => {
      const a = device.upload(Int32Array.of(1, 2, 3, -4, 5, 100_000), [2, 3]) as tf.Tensor2D;
      if (device.name === 'webgpu') expect(() => tf.matMul(a, a, false, true)).toThrow(/not exact/);
      else {
        const product = tf.matMul(a, a, false, true);
        expect([...(await device.read(product))]).toEqual([14, 300_006, 300_006, 10_000_000_041 % 2 ** 32]);
        product.dispose();
      }
      a.dispose();
    }));
});
