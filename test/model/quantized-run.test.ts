import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Checkpoint, memoryLayer, overlay, readFloats } from '../../src/checkpoint/index.js';
import { codingBytes, codingName, decodedView } from '../../src/coding/index.js';
import { type Model, openModel, withCheckpoint } from '../../src/model/index.js';
import { dequantizeMatrix, quantizeMatrix, schemeOf, toParts } from '../../src/quantization/index.js';
import { type Device, decodeToF32, encodeFromF32, openDevice } from '../../src/tensor/index.js';
import { type ReferenceModel, type ReferenceObserve, referenceLogits } from '../reference/float64-decoder.js';
import { TINY_LLAMA, tinyModel, writeTinyModel } from '../reference/tiny-model.js';
import { logitsOf } from './logits.js';

const IDS = [1, 9, 30, 4, 17, 22, 8, 2, 13];
const reference = tinyModel(TINY_LLAMA, 11);
let device: Device;
let dense: Model;
beforeAll(async () => {
  device = await openDevice('cpu');
  dense = await openModel(writeTinyModel(reference));
});
afterAll(async () => {
  await dense.checkpoint.close();
  await device.close();
});

/** The model with every linear in that scheme, and the reference with the values that its codes stand for. */
async function quantized(name: string): Promise<{ readonly model: Model; readonly expected: ReferenceModel }> {
  const scheme = schemeOf(name);
  const values = new Map();
  const added = new Map();
  const decoded = new Map<string, { shape: readonly number[]; values: Float32Array }>();
  for (const { weight, rows, columns } of dense.decoder.blocks.flatMap(({ linears }) => linears)) {
    const matrix = quantizeMatrix(await readFloats(dense.checkpoint, weight), rows, columns, scheme);
    const { parts, record } = toParts(matrix);
    const record8 = codingBytes(record!);
    const all = new Map([...parts].map(([suffix, part]) => [`${weight}${suffix}`, part]));
    all.set(codingName(weight), { dtype: 'U8', shape: [record8.length], bytes: record8 });
    for (const [part, { dtype, shape, bytes }] of all) {
      const info = { name: part, dtype, shape, byteLength: bytes.length };
      (part === weight ? values : added).set(part, { info, bytes });
    }
    decoded.set(weight, { shape: [rows, columns], values: dequantizeMatrix(matrix) });
  }
  const checkpoint: Checkpoint = overlay(dense.checkpoint, [memoryLayer(new Map(), values, added)]);
  return {
    model: withCheckpoint(dense, await decodedView(checkpoint)),
    expected: { config: reference.config, tensor: (tensor) => decoded.get(tensor) ?? reference.tensor(tensor) },
  };
}

async function logits(model: Model, ids: readonly number[] = IDS): Promise<number[]> {
  return [...(await logitsOf(model, [Int32Array.from(ids)], device))[0]!];
}

const flat = (rows: Float64Array[]) => rows.flatMap((row) => [...row]);
const distance = (a: readonly number[], b: readonly number[]) =>
  Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / a.length);

function e4m3(value: number): number {
  const clipped = Float32Array.of(Math.min(448, Math.max(-448, value)));
  return decodeToF32(encodeFromF32(clipped, 'F8_E4M3'), 'F8_E4M3')[0]!;
}

/** Writes each token's vector as its rounding gives it. */
function rounding(steps: number, round: (value: number) => number): ReferenceObserve {
  return (_layer, _input, vectors) => {
    for (const vector of vectors) {
      const scale = Math.max(...vector.map(Math.abs)) / steps;
      for (let i = 0; i < vector.length; i += 1) vector[i] = round(vector[i]! / scale) * scale;
    }
  };
}

const int8 = rounding(127, Math.round);

describe.each([
  ['w8a8', int8],
  ['w8a8-fp8', rounding(448, e4m3)],
] as const)('a model in %s', (name, observe) => {
  it('computes with inputs that are rounded token by token', async () => {
    const { model, expected } = await quantized(name);
    const ratios: number[] = [];
    for (let shift = 0; shift < 9; shift += 1) {
      const ids = IDS.slice(0, 4).map((id) => id + shift);
      const found = await logits(model, ids);
      const rounded = flat(referenceLogits(expected, ids, observe));
      const plain = flat(referenceLogits(expected, ids));
      expect(distance(rounded, plain)).toBeGreaterThan(1e-4);
      ratios.push(distance(found, rounded) / distance(found, plain));
    }
    // A value beside a tie may go the other way in float32, and moves others over theirs: in most texts none does.
    expect(ratios.sort((a, b) => a - b)[4]).toBeLessThan(0.001);
  });

  it('leaves nothing on the device', async () => {
    const { model } = await quantized(name);
    const before = device.memory();
    await logits(model);
    expect(device.memory()).toEqual(before);
  });
});

describe('a cache of FP8', () => {
  it('attends to keys and values as E4M3 gives them back under the scales', async () => {
    const keyValueScales = dense.decoder.blocks.map((_, i) => ({ key: 0.01 * (i + 1), value: 0.003 * (i + 1) }));
    const found = await logits({ ...dense, keyValueScales });
    const rounded = flat(
      referenceLogits(reference, IDS, undefined, (layer, kind, vector) => {
        const scale = keyValueScales[layer]![kind];
        return vector.map((value) => e4m3(value / scale) * scale);
      }),
    );
    const plain = flat(referenceLogits(reference, IDS));
    expect(distance(found, rounded)).toBeLessThan(0.05 * distance(found, plain));
    expect(distance(rounded, plain)).toBeGreaterThan(1e-4);
  });
});
