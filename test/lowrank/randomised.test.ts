import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { largestSum } from '../../src/lowrank/certificate.js';
import { decompose, lossAt } from '../../src/lowrank/index.js';
import { inputRoot } from '../../src/lowrank/input-root.js';
import { orthonormalRows } from '../../src/lowrank/orthonormal.js';
import { multiply } from '../../src/lowrank/products.js';
import { randomisedDirections } from '../../src/lowrank/randomised.js';
import { weightOperator } from '../../src/lowrank/weight-operator.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { correlatedTokens, gramOf, plainProduct, randomValues } from '../solvers/random.js';
import { jacobiSvd } from './jacobi.js';
import { costOf, errorOf, randomWeight, squares, weightOf } from './weights.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

describe('a randomised decomposition', () => {
  it.each([
    [90, 130],
    [130, 90],
  ])('of [%i, %i] finds the first directions, and its certificate brackets the optimum', async (rows, columns) => {
    const values = randomWeight(rows, columns, 1);
    const rank = 12;
    const operator = weightOperator(weightOf(values, rows, columns), { device });
    const found = await randomisedDirections(operator, { device, seed: 3, rank });
    const { singular } = jacobiSvd(values, rows, columns);
    const least = squares(singular.slice(rank));
    const lost = lossAt(found, rank);
    expect(found.total / squares(values)).toBeCloseTo(1, 6);
    expect(lost / least).toBeGreaterThan(1 - 1e-5);
    expect(lost / least).toBeLessThan(1.01);
    expect(found.certificate!.leastLoss).toBeLessThanOrEqual(least * (1 + 1e-6));
    expect(found.certificate!.leastLoss).toBeGreaterThan(0.8 * least);
  });

  it('is exact as soon as the sketch is as wide as the matrix', async () => {
    const [rows, columns] = [30, 70];
    const values = randomValues(rows * columns, 4);
    const operator = weightOperator(weightOf(values, rows, columns), { device });
    const found = await randomisedDirections(operator, { device, seed: 0, rank: 20 });
    const { singular } = jacobiSvd(values, rows, columns);
    expect(lossAt(found, 20) / squares(singular.slice(20))).toBeCloseTo(1, 4);
    expect(found.certificate!.leastLoss / squares(singular.slice(20))).toBeCloseTo(1, 4);
  });

  it('is the same for the same seed, and what it loses is what its factors lose', async () => {
    const [rows, columns, rank] = [600, 540, 10];
    const values = new Float32Array(
      plainProduct(randomValues(rows * 14, 1), randomValues(14 * columns, 2), { rows, inner: 14, columns }),
    ).map((value, i) => value + 0.01 * ((i * 7919) % 13));
    const weight = weightOf(values, rows, columns);
    const [first, second] = [
      await decompose(weight, { device, seed: 5, maxRank: rank }),
      await decompose(weight, { device, seed: 5, maxRank: rank }),
    ];
    expect(first.algorithm).toBe('randomised');
    expect(first.energies).toHaveLength(rank);
    expect(second.energies).toEqual(first.energies);
    const factors = await first.factors(rank);
    expect(await second.factors(rank)).toEqual(factors);
    expect(squares(errorOf(values, factors)) / lossAt(first, rank)).toBeCloseTo(1, 3);
  });

  it('with a Gram matrix loses of the outputs what its energies say', async () => {
    const [rows, columns, rank] = [80, 60, 9];
    const values = randomWeight(rows, columns, 6);
    const gram = gramOf(correlatedTokens(300, columns, 2), columns);
    const root = await inputRoot(gram, { name: 'w', device });
    const weight = weightOf(values, rows, columns);
    const found = await randomisedDirections(weightOperator(weight, { root, device }), { device, seed: 1, rank });
    const left = await found.take(rank);
    const right = await weightOperator(weight, { device }).backward(left, rank);
    const turned = Float32Array.from(
      { length: rows * rank },
      (_, i) => left[(i % rank) * rows + Math.floor(i / rank)]!,
    );
    const cost = costOf(errorOf(values, { left: turned, right, rank, rows, columns }), gram.values, rows, columns);
    expect(cost / lossAt(found, rank)).toBeCloseTo(1, 3);
    const exact = await decompose(weight, { device, gram });
    expect(lossAt(found, rank) / lossAt(exact, rank)).toBeLessThan(1.01);
  });

  it('reads a weight strip by strip to the same result, and no strip is larger than it may be', async () => {
    const [rows, columns, rank] = [70, 50, 6];
    const values = randomWeight(rows, columns, 8);
    const counts: number[] = [];
    const weight = {
      ...weightOf(values, rows, columns),
      read: async (first: number, count: number) => {
        counts.push(count);
        return values.slice(first * columns, (first + count) * columns);
      },
    };
    const whole = await randomisedDirections(weightOperator(weight, { device }), { device, seed: 2, rank });
    counts.length = 0;
    const operator = weightOperator(weight, { device, stripElements: 9 * columns });
    const strips = await randomisedDirections(operator, { device, seed: 2, rank });
    expect(Math.max(...counts)).toBe(9);
    for (const [i, energy] of strips.energies.entries()) expect(energy / whole.energies[i]!).toBeCloseTo(1, 4);
    expect(strips.total / whole.total).toBeCloseTo(1, 6);
  });

  it('takes a matrix of less rank than the sketch', async () => {
    const [rows, columns] = [60, 80];
    const values = new Float32Array(
      plainProduct(randomValues(rows * 2, 1), randomValues(2 * columns, 2), { rows, inner: 2, columns }),
    );
    const operator = weightOperator(weightOf(values, rows, columns), { device });
    const found = await randomisedDirections(operator, { device, seed: 1, rank: 5 });
    expect(lossAt(found, 2) / found.total).toBeLessThan(1e-5);
    expect([...(await found.take(5))].every(Number.isFinite)).toBe(true);
    expect(found.certificate!.leastLoss).toBeLessThan(1e-5 * found.total);
  });

  it('stops between strips', async () => {
    const stop = new AbortController();
    stop.abort();
    const operator = weightOperator(weightOf(randomValues(600, 1), 20, 30), { device, signal: stop.signal });
    await expect(operator.squaredNorm()).rejects.toMatchObject({ code: 'interrupted' });
  });
});

describe('the bound on the largest eigenvalues', () => {
  it('is what is known where nothing leaks out of the basis and the rest is smaller', () => {
    expect(largestSum(Float64Array.of(5, 3), 0, 2)).toBeCloseTo(8, 9);
    // Something of norm 4 is outside: at best both of the two largest are 4 or more.
    expect(largestSum(Float64Array.of(5, 3), 0, 4)).toBeCloseTo(9, 6);
  });

  it('is never below the truth of a symmetric matrix [[Θ, c], [c, N]], and near it where the gap is wide', () => {
    // [[10, c], [c, 1]] has the eigenvalue (11 + √(81 + 4c²)) / 2.
    for (const c of [0.01, 0.5, 3]) {
      const truth = (11 + Math.sqrt(81 + 4 * c * c)) / 2;
      const bound = largestSum(Float64Array.of(10), c * c, 1);
      expect(bound).toBeGreaterThanOrEqual(truth * (1 - 1e-9));
      expect(bound).toBeLessThan(10 + 2 * (truth - 10) + 1e-6);
    }
  });
});

describe('orthonormal rows', () => {
  it('span what the rows spanned, in order; a row that depends on those before is 0', async () => {
    const [count, length] = [70, 90];
    const values = randomValues(count * length, 3);
    for (let k = 0; k < length; k += 1)
      values[40 * length + k] = values[2 * length + k]! - 3 * values[35 * length + k]!;
    const before = values.slice();
    await orthonormalRows(values, count, length, device);
    const product = plainProduct(values, transposedRows(values, count, length), {
      rows: count,
      inner: length,
      columns: count,
    });
    product.forEach((value, i) => {
      const [row, column] = [Math.floor(i / count), i % count];
      expect(Math.abs(value - (row === column && row !== 40 ? 1 : 0))).toBeLessThan(1e-6);
    });
    const shares = plainProduct(before, transposedRows(values, count, length), {
      rows: count,
      inner: length,
      columns: count,
    });
    const rebuilt = plainProduct(shares, values, { rows: count, inner: count, columns: length });
    for (const [i, value] of rebuilt.entries()) expect(Math.abs(value - before[i]!)).toBeLessThan(1e-5);
    // In order: row 1 is made of rows 0 and 1 alone.
    for (let later = 2; later < count; later += 1) expect(Math.abs(shares[count + later]!)).toBeLessThan(1e-5);
  });

  it('stay orthonormal where the rows are nearly the same', async () => {
    const [count, length] = [40, 60];
    const shared = randomValues(length, 1);
    const values = randomValues(count * length, 2).map((value, i) => shared[i % length]! + 1e-3 * value);
    await orthonormalRows(values, count, length, device);
    const product = plainProduct(values, transposedRows(values, count, length), {
      rows: count,
      inner: length,
      columns: count,
    });
    for (const [i, value] of product.entries()) {
      expect(Math.abs(value - (Math.floor(i / count) === i % count ? 1 : 0))).toBeLessThan(1e-6);
    }
  });
});

describe('products in pieces', () => {
  it('are those of the whole, transposed or not', async () => {
    const [rows, inner, columns] = [11, 13, 17];
    const [a, b] = [randomValues(rows * inner, 1), randomValues(inner * columns, 2)];
    const small = { ...device, maxTensorBytes: 4 * 40 };
    const expected = plainProduct(a, b, { rows, inner, columns });
    const plain = await multiply({ values: a, rows, columns: inner }, { values: b, rows: inner, columns }, small);
    const turned = new Float32Array(transposedRows(b, inner, columns));
    const other = await multiply(
      { values: a, rows, columns: inner },
      { values: turned, rows: columns, columns: inner },
      small,
      {
        transposeRight: true,
      },
    );
    expected.forEach((value, i) => {
      expect(Math.abs(plain[i]! - value)).toBeLessThan(1e-5);
      expect(Math.abs(other[i]! - value)).toBeLessThan(1e-5);
    });
  });
});

function transposedRows(values: ArrayLike<number>, rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: rows * columns }, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
}
