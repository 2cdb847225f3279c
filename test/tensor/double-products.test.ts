import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { plainProduct, randomValues } from '../solvers/random.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

const doubles = (length: number, seed: number) => new Float64Array(randomValues(length, seed)).map((v) => v / 3);

function transposed(values: Float64Array, rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: values.length }, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
}

describe('products in double precision', () => {
  // 3 columns of thirds: single precision would be off in the eighth digit.
  it.each([
    [1, 1, 1],
    [3, 5, 7],
    [64, 33, 65],
    [130, 1, 2],
  ])('of [%i, %i] · [%i] are the plain ones, either operand transposed', async (rows, inner, columns) => {
    const [a, b] = [doubles(rows * inner, 1), doubles(inner * columns, 2)];
    const expected = plainProduct(a, b, { rows, inner, columns });
    for (const transposeLeft of [false, true]) {
      for (const transposeRight of [false, true]) {
        const left = transposeLeft
          ? { values: transposed(a, rows, inner), rows: inner, columns: rows }
          : { values: a, rows, columns: inner };
        const right = transposeRight
          ? { values: transposed(b, inner, columns), rows: columns, columns: inner }
          : { values: b, rows: inner, columns };
        const product = device.doubles!.multiply(left, right, { transposeLeft, transposeRight });
        expect(product).toHaveLength(rows * columns);
        for (const [i, value] of expected.entries()) expect(Math.abs(product[i]! - value)).toBeLessThan(1e-14 * inner);
      }
    }
  });

  it('of nothing are zeros', () => {
    const none = new Float64Array(0);
    const left = { values: none, rows: 2, columns: 0 };
    expect(device.doubles!.multiply(left, { values: none, rows: 0, columns: 3 })).toEqual(new Float64Array(6));
  });

  it('of shapes that do not fit are refused', () => {
    const a = { values: new Float64Array(6), rows: 2, columns: 3 };
    expect(() => device.doubles!.multiply(a, a)).toThrow(RangeError);
  });
});
