import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decompose, lossAt } from '../../src/lowrank/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { correlatedTokens, damped, gramOf, plainInverse, plainProduct } from '../solvers/random.js';
import { jacobiSvd, plainCholesky } from './jacobi.js';
import { costOf, errorOf, randomWeight, squares, weightOf } from './weights.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

const SHAPES = [
  [24, 40],
  [40, 24],
  [31, 31],
  [7, 50],
] as const;

describe('the plain decomposition', () => {
  it('has the singular values of the matrix', async () => {
    // A rotation by 30° of diag(5, 2, 1): [[5 cos, −2 sin, 0], [5 sin, 2 cos, 0], [0, 0, 1]].
    const [c, s] = [Math.sqrt(3) / 2, 0.5];
    const found = await decompose(weightOf(Float32Array.of(5 * c, -2 * s, 0, 5 * s, 2 * c, 0, 0, 0, 1), 3, 3), {
      device,
    });
    expect(found.algorithm).toBe('exact');
    for (const [i, energy] of [25, 4, 1].entries()) expect(found.energies[i]).toBeCloseTo(energy, 5);
    expect(found.total).toBeCloseTo(30, 5);
  });

  it.each(SHAPES)('of [%i, %i] is that of a slow Jacobi', async (rows, columns) => {
    const values = randomWeight(rows, columns, rows);
    const { energies } = await decompose(weightOf(values, rows, columns), { device });
    const { singular } = jacobiSvd(values, rows, columns);
    singular.slice(0, Math.min(rows, columns)).forEach((value, i) => {
      expect(Math.abs(energies[i]! - value ** 2)).toBeLessThan(1e-13 * singular[0]! ** 2);
    });
  });

  it.each(SHAPES)('of [%i, %i] loses what Eckart and Young say, at every rank', async (rows, columns) => {
    const values = randomWeight(rows, columns, 100 + rows);
    const found = await decompose(weightOf(values, rows, columns), { device });
    const { singular } = jacobiSvd(values, rows, columns);
    for (const rank of [1, 3, Math.min(rows, columns) - 1]) {
      const lost = squares(errorOf(values, await found.factors(rank)));
      const least = squares(singular.slice(rank));
      expect(Math.abs(lost / least - 1)).toBeLessThan(1e-4);
      expect(lossAt(found, rank) / least).toBeCloseTo(1, 6);
    }
  });

  it('keeps a matrix of low rank whole, and gives zeros for directions that are not there', async () => {
    const [rows, columns] = [20, 12];
    const thin = plainProduct(randomWeight(rows, 3, 1), randomWeight(3, columns, 2), { rows, inner: 3, columns });
    for (const turned of [false, true]) {
      const shape = turned ? ([columns, rows] as const) : ([rows, columns] as const);
      const values = new Float32Array(turned ? transposed(thin, rows, columns) : thin);
      const found = await decompose(weightOf(values, ...shape), { device });
      const factors = await found.factors(6);
      expect(squares(errorOf(values, factors))).toBeLessThan(1e-12 * squares(values));
      expect([...factors.left, ...factors.right].every(Number.isFinite)).toBe(true);
    }
    const zeros = await decompose(weightOf(new Float32Array(rows * columns), rows, columns), { device });
    expect(squares((await zeros.factors(2)).left)).toBe(0);
  });

  it('balances its factors: column i of the left is as long as row i of the right', async () => {
    const values = randomWeight(18, 30, 3).map((value) => 1000 * value);
    const { left, right } = await (await decompose(weightOf(values, 18, 30), { device })).factors(4);
    for (let i = 0; i < 4; i += 1) {
      const column = squares(Array.from({ length: 18 }, (_, row) => left[row * 4 + i]!));
      expect(column / squares(right.subarray(i * 30, (i + 1) * 30))).toBeCloseTo(1, 4);
    }
  });

  it('refuses a rank that was not found', async () => {
    const found = await decompose(weightOf(randomWeight(4, 5, 1), 4, 5), { device });
    await expect(found.factors(5)).rejects.toThrow(RangeError);
    await expect(found.factors(0)).rejects.toThrow(RangeError);
  });

  it('says which weight is not finite', async () => {
    const values = randomWeight(6, 5, 1);
    values[7] = Number.NaN;
    await expect(decompose(weightOf(values, 6, 5, 'blocks.0.q'), { device })).rejects.toMatchObject({
      code: 'unsupported',
      tensor: 'blocks.0.q',
    });
  });
});

describe('the whitened decomposition', () => {
  it.each(SHAPES)('of [%i, %i] loses exactly the energies that it drops', async (rows, columns) => {
    const values = randomWeight(rows, columns, 200 + rows);
    const gram = gramOf(correlatedTokens(4 * columns, columns, 5), columns);
    const found = await decompose(weightOf(values, rows, columns), { device, gram });
    const whole = costOf(Float64Array.from(values), gram.values, rows, columns);
    expect(found.total / whole).toBeCloseTo(1, 5);
    for (const rank of [1, 2, Math.floor(Math.min(rows, columns) / 2), Math.min(rows, columns) - 1]) {
      const cost = costOf(errorOf(values, await found.factors(rank)), gram.values, rows, columns);
      const dropped = found.energies.subarray(rank).reduce((sum, energy) => sum + energy, 0);
      expect(Math.abs(cost / dropped - 1)).toBeLessThan(1e-4);
    }
  });

  it.each(SHAPES)('of [%i, %i] is the matrix that SVD-LLM computes with an inverse', async (rows, columns) => {
    const values = randomWeight(rows, columns, 300 + rows);
    const gram = gramOf(correlatedTokens(4 * columns, columns, 6), columns);
    const lower = plainCholesky(damped(gram, 1e-6), columns);
    const whitened = plainProduct(values, lower, { rows, inner: columns, columns });
    const rank = 4;
    const { left } = jacobiSvd(whitened, rows, columns);
    // U_r (U_rᵀ W L) is U_r Σ_r V_rᵀ; times L⁻¹ = Lᵀ (L Lᵀ)⁻¹.
    const u = Float64Array.from({ length: rows * rank }, (_, i) => left[i % rank]![Math.floor(i / rank)]!);
    const shares = plainProduct(transposed(u, rows, rank), whitened, { rows: rank, inner: rows, columns });
    const truncated = plainProduct(u, shares, { rows, inner: rank, columns });
    const inverse = plainProduct(transposed(lower, columns, columns), plainInverse(damped(gram, 1e-6), columns), {
      rows: columns,
      inner: columns,
      columns,
    });
    const expected = plainProduct(truncated, inverse, { rows, inner: columns, columns });
    const factors = await (await decompose(weightOf(values, rows, columns), { device, gram })).factors(rank);
    const ours = plainProduct(factors.left, factors.right, { rows, inner: rank, columns });
    expect(squares(ours.map((value, i) => value - expected[i]!)) / squares(expected)).toBeLessThan(1e-9);
  });

  it('loses less of the outputs than the plain one at equal rank, and more of the weights', async () => {
    const [rows, columns, rank] = [30, 40, 8];
    const values = randomWeight(rows, columns, 9);
    const gram = gramOf(correlatedTokens(200, columns, 7), columns);
    const weight = weightOf(values, rows, columns);
    const [plain, whitened] = [await decompose(weight, { device }), await decompose(weight, { device, gram })];
    const errors = [errorOf(values, await plain.factors(rank)), errorOf(values, await whitened.factors(rank))] as const;
    const [costPlain, costWhitened] = errors.map((error) => costOf(error, gram.values, rows, columns));
    expect(costWhitened!).toBeLessThan(0.98 * costPlain!);
    expect(squares(errors[1])).toBeGreaterThan(squares(errors[0]));
  });

  it('takes inputs that never were anything but 0, and fewer tokens than inputs', async () => {
    const [rows, columns] = [12, 20];
    const tokens = correlatedTokens(9, columns, 8);
    for (let i = 0; i < tokens.length; i += columns) tokens[i + 3] = 0;
    const gram = gramOf(tokens, columns);
    const values = randomWeight(rows, columns, 4);
    const found = await decompose(weightOf(values, rows, columns), { device, gram });
    // Nine tokens: rank 9 gives all of their outputs.
    const cost = costOf(errorOf(values, await found.factors(9)), gram.values, rows, columns);
    expect(cost / found.total).toBeLessThan(1e-5);
  });

  it('refuses inputs that are not finite, with the weight that they are of', async () => {
    const gram = gramOf(correlatedTokens(30, 5, 1), 5);
    gram.values[6] = Number.POSITIVE_INFINITY;
    await expect(decompose(weightOf(randomWeight(4, 5, 1), 4, 5, 'q'), { device, gram })).rejects.toMatchObject({
      code: 'unsupported',
      tensor: 'q',
    });
  });

  it('leaves neither weight nor Gram matrix changed, and nothing on the device', async () => {
    const [rows, columns] = [9, 14];
    const values = randomWeight(rows, columns, 2);
    const gram = gramOf(correlatedTokens(40, columns, 2), columns);
    const [weightBefore, gramBefore, { tensors }] = [values.slice(), gram.values.slice(), device.memory()];
    const weight = {
      ...weightOf(values, rows, columns),
      read: async (first: number, count: number) => values.subarray(first * columns, (first + count) * columns),
    };
    await (await decompose(weight, { device, gram })).factors(3);
    expect(values).toEqual(weightBefore);
    expect(gram.values).toEqual(gramBefore);
    expect(device.memory().tensors).toBe(tensors);
  });
});

function transposed(values: ArrayLike<number>, rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: rows * columns }, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
}
