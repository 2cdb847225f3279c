import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Device,
  decodeToF32,
  disposeMatrix,
  encodeFromF32,
  int8Linear,
  openDevice,
  roundedLinear,
  roundRows,
  roundToE4m3,
  throughE4m3,
  uploadMatrix,
} from '../../src/tensor/index.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

const f = Math.fround;

/** The nearest value of E4M3, ±448 beyond it, by the tables of src/tensor. */
function e4m3(values: Float32Array): Float32Array {
  const clipped = values.map((value) => Math.min(448, Math.max(-448, value)));
  return decodeToF32(encodeFromF32(clipped, 'F8_E4M3'), 'F8_E4M3');
}

/** Every value of E4M3, every tie between two, and their neighbours in float32. */
function hardValues(): Float32Array {
  const levels = decodeToF32(
    Uint8Array.from({ length: 127 }, (_, code) => code),
    'F8_E4M3',
  );
  const values: number[] = [500, 1e30, 1e-20];
  for (const [code, level] of levels.entries()) {
    const middle = code + 1 < levels.length ? (level + levels[code + 1]!) / 2 : 460;
    for (const value of [level, middle]) values.push(value, value * (1 + 2 ** -22), value * (1 - 2 ** -22));
  }
  return Float32Array.from([...values, ...values.map((value) => -value)]);
}

/** mulberry32 in (−1, 1). */
function random(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  });
}

/** x [n, columns] in whole numbers with a scale for each row, by the definition, in doubles. */
function tokens(x: Float32Array, columns: number) {
  const scales: number[] = [];
  const codes = new Int32Array(x.length);
  for (let start = 0; start < x.length; start += columns) {
    const row = x.subarray(start, start + columns);
    const largest = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    scales.push(largest === 0 ? 1 : f(largest / 127));
    const inverse = largest === 0 ? 1 : f(127 / largest);
    for (const [i, value] of row.entries()) {
      const exact = f(value * inverse);
      const down = Math.floor(exact);
      const even = down % 2 === 0 ? down : down + 1;
      const rounded = exact - down === 0.5 ? even : Math.round(exact);
      codes[start + i] = rounded;
    }
  }
  return { codes, scales };
}

describe('roundToE4m3', () => {
  it('gives the nearest value, ties to even, for every value and tie and their neighbours', async () => {
    const values = hardValues();
    const input = device.upload(values, [values.length]);
    const output = roundToE4m3(input);
    // No difference is made between 0 and −0.
    expect(await device.read(output)).toEqual(e4m3(values).map((value) => value + 0));
    input.dispose();
    output.dispose();
  });

  it('goes through a scale', async () => {
    const values = random(300, 3).map((value) => value * 20);
    const input = device.upload(values, [3, 100]);
    const output = throughE4m3(input, 0.125);
    expect(await device.read(output)).toEqual(
      e4m3(values.map((value) => value / 0.125)).map((value) => value * 0.125 + 0),
    );
    input.dispose();
    output.dispose();
  });
});

describe('roundRows', () => {
  it('rounds each row to its own 254 steps, a row of zeros to zeros', async () => {
    const columns = 9;
    const x = new Float32Array(3 * columns);
    x.set(random(columns, 1));
    x.set(
      random(columns, 2).map((value) => value * 1e4),
      columns,
    );
    const input = device.upload(x, [3, columns]) as Tensor2D;
    const { codes, scales } = roundRows(input, 'int8');
    const expected = tokens(x, columns);
    expect([...(await device.read(codes))].map((code) => code + 0)).toEqual([...expected.codes]);
    expect([...(await device.read(scales))]).toEqual(expected.scales);
    for (const tensor of [input, codes, scales]) tensor.dispose();
  });
});

describe.each([
  ['one exact sum', 700],
  ['sums of several parts', 2500],
])('int8Linear, %s', (_, columns) => {
  it('is the sum of products of integers, rounded once, times the two scales', async () => {
    const [n, rows] = [5, 11];
    const x = random(n * columns, 5);
    // Large sums: values near the ends of the range, of one sign.
    x.fill(1, 0, columns);
    const codes = Int8Array.from(random(rows * columns, 6), (value) => Math.round(value * 127.4));
    codes.fill(-128, 0, columns);
    const scales = Float32Array.from({ length: rows }, (_, row) => f(0.0013 * (row + 1)));
    const bias = random(rows, 7);
    const weight = Float32Array.from(codes, (code, i) => code * scales[Math.floor(i / columns)]!);
    const before = device.memory().tensors;
    const input = device.upload(x, [n, columns]) as Tensor2D;
    const matrix = uploadMatrix(device, weight, rows, columns);
    const rowScales = device.upload(scales, [rows]) as Tensor1D;
    const biases = device.upload(bias, [rows]) as Tensor1D;
    const output = int8Linear(input, { matrix, scales: rowScales }, biases);
    const found = (await device.read(output)) as Float32Array;
    const rounded = tokens(x, columns);
    for (let token = 0; token < n; token += 1) {
      for (let row = 0; row < rows; row += 1) {
        let sum = 0;
        for (let j = 0; j < columns; j += 1) sum += rounded.codes[token * columns + j]! * codes[row * columns + j]!;
        const product = f(f(f(sum) * scales[row]!) * rounded.scales[token]!);
        expect(found[token * rows + row]).toBe(f(product + bias[row]!));
      }
    }
    disposeMatrix(matrix);
    for (const tensor of [input, rowScales, biases, output]) tensor.dispose();
    expect(device.memory().tensors).toBe(before);
  });
});

describe('roundedLinear', () => {
  it('multiplies inputs that went through E4M3', async () => {
    const [n, rows, columns] = [4, 3, 40];
    const x = random(n * columns, 8);
    const w = random(rows * columns, 9);
    const input = device.upload(x, [n, columns]) as Tensor2D;
    const matrix = uploadMatrix(device, w, rows, columns);
    const output = roundedLinear(input, matrix, 'fp8');
    const found = (await device.read(output)) as Float32Array;
    for (let token = 0; token < n; token += 1) {
      const row = x.subarray(token * columns, (token + 1) * columns);
      const scale = f(Math.max(...row.map(Math.abs)) / 448);
      const codes = e4m3(row.map((value) => value / scale));
      for (let out = 0; out < rows; out += 1) {
        const sum = codes.reduce((total, code, j) => total + code * w[out * columns + j]!, 0);
        expect(found[token * rows + out]).toBeCloseTo(sum * scale, 5);
      }
    }
    disposeMatrix(matrix);
    input.dispose();
    output.dispose();
  });
});
