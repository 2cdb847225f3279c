import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Event } from '../../src/events.js';
import { cholesky } from '../../src/solvers/cholesky.js';
import { inverseDiagonal, inverseUpperFactor } from '../../src/solvers/index.js';
import { matrixProducts } from '../../src/solvers/products.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { correlatedTokens, damped, distance, gramOf, plainInverse, plainProduct } from './random.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

/** Uᵀ U of an upper factor. */
function square(upper: ArrayLike<number>, size: number): Float64Array {
  const transposed = Float64Array.from(
    { length: size * size },
    (_, i) => upper[(i % size) * size + Math.floor(i / size)]!,
  );
  return plainProduct(transposed, upper, { rows: size, inner: size, columns: size });
}

describe('inverseUpperFactor', () => {
  // 257 columns pass a block boundary and leave a block of one column.
  it.each([1, 2, 7, 64, 257])('squares to the inverse of the damped matrix of %i inputs', async (size) => {
    const gram = gramOf(correlatedTokens(40, size, size), size);
    const before = gram.values.slice();
    const { values, isDiagonal } = await inverseUpperFactor(gram);
    expect(isDiagonal).toBe(false);
    expect(distance(square(values, size), plainInverse(damped(gram, 0.01), size))).toBeLessThan(1e-9);
    for (let row = 1; row < size; row += 1)
      expect(values.subarray(row * size, row * size + row).every((v) => v === 0)).toBe(true);
    expect(gram.values).toEqual(before);
  });

  it('keeps single precision on a device within what single precision allows', async () => {
    const size = 1030;
    const gram = gramOf(correlatedTokens(60, size, 3), size);
    const { values } = await inverseUpperFactor(gram, { device });
    expect(values).toBeInstanceOf(Float32Array);
    // (G + dI) Uᵀ U = I, looked at through a vector.
    const ones = new Float64Array(size).fill(1);
    const once = plainProduct(values, ones, { rows: size, inner: size, columns: 1 });
    const twice = plainProduct(once, values, { rows: 1, inner: size, columns: size });
    const back = plainProduct(damped(gram, 0.01), twice, { rows: size, inner: size, columns: 1 });
    expect(distance(back, ones)).toBeLessThan(2e-3);
  });
});

describe('inverseDiagonal', () => {
  it('is the diagonal of the inverse', async () => {
    const size = 40;
    const gram = gramOf(correlatedTokens(30, size, 9), size);
    const inverse = plainInverse(damped(gram, 0.1), size);
    const expected = Float64Array.from({ length: size }, (_, i) => inverse[i * size + i]!);
    expect(distance(await inverseDiagonal(gram, { damp: 0.1 }), expected)).toBeLessThan(1e-10);
  });

  it('of two inputs is what the formula for 2 × 2 says', async () => {
    // d = 0.01 · (4 + 2) / 2 = 0.03; the determinant of [[4.03, 1], [1, 2.03]] is 7.1809.
    const gram = { values: new Float32Array([4, 1, 1, 2]), columns: 2 };
    const [first, second] = await inverseDiagonal(gram);
    expect(first).toBeCloseTo(2.03 / 7.1809, 12);
    expect(second).toBeCloseTo(4.03 / 7.1809, 12);
  });
});

describe('a matrix that is not positive definite', () => {
  const messages: string[] = [];
  const report = (event: Event) => void (event.type === 'notice' && messages.push(event.message));

  it('is damped ten times as much until it can be factored, and says so with its name', async () => {
    messages.length = 0;
    // Eigenvalues 1.05 and −0.05: 1 % of the mean diagonal (0.5) is not enough, 10 % (0.05) just not, 100 % is.
    const gram = { values: new Float32Array([0.5, 0.55, 0.55, 0.5]), columns: 2 };
    const expected = plainInverse(damped(gram, 1), 2);
    expect(distance(await inverseDiagonal(gram, { name: 'w.q', report }), [expected[0]!, expected[3]!])).toBeLessThan(
      1e-6,
    );
    expect(messages).toEqual([
      'The inputs of w.q are nearly dependent: 100 % of their mean square was added instead of 1 %.',
    ]);
  });

  it('is given up when no damping helps: the diagonal alone is left, by which each weight counts for itself', async () => {
    messages.length = 0;
    const gram = { values: new Float32Array([4, 100, 100, 1]), columns: 2 };
    const factor = await inverseUpperFactor(gram, { name: 'w.down', report });
    expect(factor).toEqual({ size: 2, damp: 0, values: new Float64Array([0.5, 0, 0, 1]), isDiagonal: true });
    expect(messages).toHaveLength(1);
    expect(messages[0]).toMatch(/w\.down .*judged by itself/);
  });

  it('of zeros alone (a matrix that no token reaches) counts every input the same', async () => {
    expect(await inverseDiagonal({ values: new Float32Array(9), columns: 3 })).toEqual(new Float64Array(3).fill(1));
  });

  it('with a value that is not finite is refused by name', async () => {
    const gram = { values: new Float32Array([1, 0, 0, Number.NaN]), columns: 2 };
    await expect(inverseDiagonal(gram, { name: 'w.o' })).rejects.toMatchObject({ code: 'unsupported', tensor: 'w.o' });
  });

  it('leaves its upper triangle as it was, for the next try', async () => {
    const values = new Float64Array([1, 2, 3, 2, 1, 4, 3, 4, 1]);
    expect(await cholesky(values, 3, matrixProducts())).toBeUndefined();
    expect([values[1], values[2], values[5]]).toEqual([2, 3, 4]);
  });
});
