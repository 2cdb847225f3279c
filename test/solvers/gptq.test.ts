import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Grid, gptq, prepareGptq, type Removal } from '../../src/solvers/index.js';
import { maskFrom, parsePattern } from '../../src/sparsity/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { correlatedTokens, damped, gramOf, plainInverse, plainProduct, randomValues } from './random.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

/** Whole multiples of one step. */
function steps(step: number): Grid & { readonly asked: number[] } {
  const asked: number[] = [];
  return {
    asked,
    round(row, column, weight) {
      if (row === 0) asked.push(column);
      return step * Math.round(weight / step);
    },
  };
}

type Gram = ReturnType<typeof gramOf>;
const copyOf = ({ values, columns }: Gram): Gram => ({ values: values.slice(), columns });

async function sweep(
  weight: Float32Array,
  gram: Gram,
  options: { readonly grid?: Grid; readonly actOrder?: boolean; readonly removal?: Removal } = {},
) {
  const { grid = steps(0.25), removal, ...rest } = options;
  const values = weight.slice();
  const inputs = await prepareGptq(copyOf(gram), { device, ...rest });
  const rows = values.length / gram.columns;
  const { loss } = await gptq({ name: 'w', rows, columns: gram.columns, values }, grid, inputs, removal);
  return { values, loss, inputs };
}

/** (W − V) H (W − V)ᵀ summed over rows, H damped by 1 %. */
function outputError(a: ArrayLike<number>, b: Float32Array, gram: Gram): number {
  const n = gram.columns;
  const difference = Float64Array.from(a, (value, i) => value - b[i]!);
  const image = plainProduct(difference, damped(gram, 0.01), { rows: b.length / n, inner: n, columns: n });
  return difference.reduce((sum, value, i) => sum + value * image[i]!, 0);
}

/** The definition: one column after the other is rounded, and the rest moves by −error · H⁻¹_q: / H⁻¹_qq of those not yet rounded. */
function byElimination(weight: Float32Array, gram: Gram, order: readonly number[], step: number): Float64Array {
  const n = gram.columns;
  const values = Float64Array.from(weight);
  const hessian = damped(gram, 0.01);
  for (let at = 0; at < n; at += 1) {
    const left = order.slice(at);
    const part = Float64Array.from({ length: left.length ** 2 }, (_, i) => {
      return hessian[left[Math.floor(i / left.length)]! * n + left[i % left.length]!]!;
    });
    const inverse = plainInverse(part, left.length);
    for (let row = 0; row < values.length; row += n) {
      const before = values[row + left[0]!]!;
      const error = before - step * Math.round(before / step);
      left.forEach((column, j) => {
        values[row + column]! -= (error * inverse[j]!) / inverse[0]!;
      });
      values[row + left[0]!] = step * Math.round(before / step);
    }
  }
  return values;
}

const natural = (n: number) => Array.from({ length: n }, (_, j) => j);

describe('gptq', () => {
  it('of one row of two weights is what the formula says', async () => {
    // H = [[4.035, 2], [2, 3.035]]; rounding 0.4 to 0.5 moves the second weight by 0.1 · H₁₂ / H₂₂ down, to 1.1 − 0.0659 = 1.034.
    const gram = { values: new Float32Array([4, 2, 2, 3]), columns: 2 };
    const seen: number[] = [];
    const grid: Grid = {
      round(_row, _column, weight) {
        seen.push(weight);
        return 0.5 * Math.round(weight / 0.5);
      },
    };
    const { values } = await sweep(new Float32Array([0.4, 1.1]), gram, { grid });
    expect(seen[0]).toBeCloseTo(0.4, 6);
    expect(seen[1]).toBeCloseTo(1.1 - (0.1 * 2) / 3.035, 6);
    expect([...values]).toEqual([0.5, 1]);
  });

  it.each([false, true])('is elimination column by column, also across blocks; act-order %s', async (actOrder) => {
    const columns = 150;
    const gram = gramOf(correlatedTokens(400, columns, 3), columns);
    const weight = randomValues(3 * columns, 9);
    const order = natural(columns);
    if (actOrder) order.sort((a, b) => gram.values[b * columns + b]! - gram.values[a * columns + a]! || a - b);
    const { values } = await sweep(weight, gram, { actOrder });
    const expected = byElimination(weight, gram, order, 0.25);
    expect(values).toEqual(Float32Array.from(expected));
  });

  it('reports as its loss the error of the outputs that the damped Gram matrix gives', async () => {
    const gram = gramOf(correlatedTokens(300, 40, 5), 40);
    const weight = randomValues(6 * 40, 2);
    const { values, loss } = await sweep(weight, gram);
    expect(loss / outputError(values, weight, gram)).toBeCloseTo(1, 5);
  });

  it('beats rounding to nearest on correlated inputs, by its own measure, on any matrix but a lucky one', async () => {
    let [better, total] = [0, 0];
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 2, max: 60 }), async (seed, columns) => {
        const gram = gramOf(correlatedTokens(4 * columns, columns, seed), columns);
        const weight = randomValues(8 * columns, seed + 1);
        const { values } = await sweep(weight, gram);
        const nearest = weight.map((value) => 0.25 * Math.round(value / 0.25));
        total += 1;
        if (outputError(values, weight, gram) <= outputError(nearest, weight, gram)) better += 1;
      }),
      { numRuns: 40 },
    );
    expect(better / total).toBeGreaterThan(0.9);
  });

  it('rounds the columns by how much their inputs weigh, with act-order', async () => {
    const gram = { values: new Float32Array([1, 0, 0, 0, 9, 0, 0, 0, 4]), columns: 3 };
    const grid = steps(0.25);
    await sweep(new Float32Array([0.1, 0.2, 0.3]), gram, { grid, actOrder: true });
    expect(grid.asked).toEqual([1, 2, 0]);
  });

  it('fits groups to weights that are corrected already, and says where they begin', async () => {
    const gram = gramOf(correlatedTokens(200, 10, 4), 10);
    const weight = randomValues(20, 3);
    const fitted: { firstColumn: number; columns: number; values: Float32Array }[] = [];
    const grid: Grid = {
      groupColumns: 4,
      fit: (firstColumn, { values, columns }) => void fitted.push({ firstColumn, columns, values }),
      round: (_row, _column, value) => 0.5 * Math.round(value / 0.5),
    };
    await sweep(weight, gram, { grid });
    expect(fitted.map(({ firstColumn, columns }) => [firstColumn, columns])).toEqual([
      [0, 4],
      [4, 4],
      [8, 2],
    ]);
    const untouched = (from: number, count: number) =>
      Float32Array.from({ length: 2 * count }, (_, i) => weight[Math.floor(i / count) * 10 + from + (i % count)]!);
    expect(fitted[0]!.values).toEqual(untouched(0, 4));
    expect(fitted[1]!.values).not.toEqual(untouched(4, 4));
  });

  it('refuses an order of its own where neighbours share a scale', async () => {
    const gram = gramOf(correlatedTokens(20, 4, 4), 4);
    const grid: Grid = { groupColumns: 2, fit: () => {}, round: (_row, _column, value) => value };
    await expect(sweep(randomValues(4, 1), gram, { grid, actOrder: true })).rejects.toThrow(RangeError);
  });
});

describe('gptq and masks', () => {
  it('leaves weights that are gone at 0, and makes up for what corrections would have moved there', async () => {
    const gram = gramOf(correlatedTokens(300, 48, 8), 48);
    const weight = randomValues(5 * 48, 6).map((value, i) => (i % 3 === 1 ? 0 : value));
    const { values } = await sweep(weight, gram);
    for (let i = 0; i < values.length; i += 1) if (weight[i] === 0) expect(values[i]).toBe(0);
    const nearest = weight.map((value) => 0.25 * Math.round(value / 0.25));
    expect(outputError(values, weight, gram)).toBeLessThan(outputError(nearest, weight, gram));
  });

  it.each(['2:4', 'unstructured'])(
    'chooses a mask on the way (%s): better than the same mask rounded afterwards',
    async (text) => {
      const columns = 136;
      const gram = gramOf(correlatedTokens(500, columns, 2), columns);
      const weight = randomValues(6 * columns, 5);
      const pattern = await parsePattern(text);
      const removal: Removal =
        pattern.kind === 'fixed'
          ? { group: pattern.group, mask: (scores) => pattern.mask(scores) }
          : { mask: (scores) => pattern.mask(scores, { sparsity: 0.5, compare: 'layer' }) };
      const exact: Grid = { round: (_row, _column, value) => value };
      const { values: pruned } = await sweep(weight, gram, { grid: exact, removal });
      const afterwards = pruned.map((value) => 0.25 * Math.round(value / 0.25));
      const { values } = await sweep(weight, gram, { removal });
      const zeros = (list: Float32Array) => list.reduce((count, value) => count + (value === 0 ? 1 : 0), 0);
      expect(zeros(values)).toBeGreaterThanOrEqual(values.length / 2);
      if (pattern.kind === 'fixed') {
        for (let start = 0; start < values.length; start += 4) {
          expect(values.subarray(start, start + 4).filter((value) => value !== 0).length).toBeLessThanOrEqual(2);
        }
      }
      expect(outputError(values, weight, gram)).toBeLessThan(outputError(afterwards, weight, gram));
    },
  );

  it('removes exactly what a fixed mask removes', async () => {
    const gram = gramOf(correlatedTokens(60, 6, 2), 6);
    const keep = [1, 0, 1, 1, 1, 0];
    const removal: Removal = { mask: ({ rows, columns }) => maskFrom(keep, rows, columns) };
    const { values } = await sweep(randomValues(6, 4), gram, { grid: { round: (_r, _c, value) => value }, removal });
    expect([...values].map((value) => (value === 0 ? 0 : 1))).toEqual(keep);
  });
});

describe('gptq on inputs that say little', () => {
  it('rounds to nearest where no token came, and where the inputs cannot be factored', async () => {
    const weight = new Float32Array([0.3, -0.9, 0.6, 1.2]);
    const nearest = [0.25, -1, 0.5, 1.25];
    const none = await sweep(weight, { values: new Float32Array(16), columns: 4 });
    expect([...none.values]).toEqual(nearest);
    // No Gram matrix of real inputs: the correlation is above 1.
    const broken = await sweep(new Float32Array([0.3, -0.9]), {
      values: new Float32Array([4, 100, 100, 1]),
      columns: 2,
    });
    expect(broken.inputs).toMatchObject({ isDiagonal: true, damp: 0 });
    expect([...broken.values]).toEqual(nearest.slice(0, 2));
  });

  it('damps ten times as much until the inputs can be factored, and says how much', async () => {
    // Slightly indefinite: 1 % of the mean diagonal is not enough, 10 % is.
    const { inputs } = await sweep(new Float32Array([0.3, 0.6]), {
      values: new Float32Array([1, 1.05, 1.05, 1]),
      columns: 2,
    });
    expect(inputs.isDiagonal).toBe(false);
    expect(inputs.damp).toBeCloseTo(0.1, 6);
  });

  it('stops when it is told to', async () => {
    const controller = new AbortController();
    controller.abort();
    const gram = gramOf(correlatedTokens(20, 4, 4), 4);
    const inputs = await prepareGptq(gram, { device, signal: controller.signal });
    const matrix = { name: 'w', rows: 1, columns: 4, values: randomValues(4, 1) };
    await expect(gptq(matrix, steps(1), inputs)).rejects.toMatchObject({ code: 'interrupted' });
  });
});
