import { describe, expect, test } from 'vitest';
import { groupRedundancy } from '../../src/plates/index.js';
import { gaussian } from '../fixtures/architectures/index.js';

/** X [tokens, columns] → Σ x xᵀ in float32. */
function gramOf(rows: readonly Float64Array[]) {
  const columns = rows[0]!.length;
  const values = new Float64Array(columns * columns);
  for (const x of rows)
    for (let i = 0; i < columns; i += 1) for (let j = 0; j < columns; j += 1) values[i * columns + j]! += x[i]! * x[j]!;
  return { values: Float32Array.from(values), columns };
}

function randomRows(tokens: number, columns: number, seed: number): Float64Array[] {
  const random = gaussian(seed);
  return Array.from({ length: tokens }, () => Float64Array.from({ length: columns }, () => random()));
}

/** The least-squares residual of column `target` on the columns `on`, relative to its energy: Gram-Schmidt on the data. */
function residualOf(rows: readonly Float64Array[], target: number, on: readonly number[]): number {
  const column = (j: number) => Float64Array.from(rows, (row) => row[j]!);
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  const basis: Float64Array[] = [];
  const reduce = (vector: Float64Array) => {
    // Twice: once leaves rounding errors of the order of the vector.
    for (let pass = 0; pass < 2; pass += 1) {
      for (const unit of basis) {
        const along = dot(vector, unit);
        for (let i = 0; i < vector.length; i += 1) vector[i]! -= along * unit[i]!;
      }
    }
    return vector;
  };
  for (const j of on) {
    const rest = reduce(column(j));
    const length = Math.sqrt(dot(rest, rest));
    if (length > 1e-9) basis.push(rest.map((value) => value / length));
  }
  const rest = reduce(column(target));
  return dot(rest, rest) / dot(column(target), column(target));
}

describe('redundancy of channels', () => {
  test('each residual is that of the least-squares fit on the channels before it in the order', () => {
    const rows = randomRows(40, 9, 3);
    for (const x of rows) {
      x[4] = 0.8 * x[1]! + 0.1 * x[4]!;
      x[7] = 5 * x[7]!;
    }
    const { residuals, order } = groupRedundancy(gramOf(rows));
    expect([...order].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    for (const [step, j] of [...order].entries()) {
      expect(residuals[j]).toBeCloseTo(residualOf(rows, j, [...order].slice(0, step)), 5);
      if (step > 0) expect(residuals[j]).toBeLessThanOrEqual(residuals[order[step - 1]!]!);
    }
  });

  test('a silent channel, a duplicate and a combination come out last, with nothing left', () => {
    const rows = randomRows(60, 12, 5);
    for (const x of rows) {
      x[2] = 0;
      x[5] = -3 * x[8]!;
      x[9] = 0.5 * x[0]! - 2 * x[1]! + x[3]!;
    }
    const { residuals, order, partners } = groupRedundancy(gramOf(rows));
    const last = new Set([...order].slice(-3));
    expect(last.has(2)).toBe(true);
    // Of the duplicates and of the four that hang together, one each: which one is a matter of taste.
    expect([5, 8].filter((j) => last.has(j))).toHaveLength(1);
    expect([0, 1, 3, 9].filter((j) => last.has(j))).toHaveLength(1);
    // What is left is named with what it folds into.
    for (const j of last) {
      const found = new Set(partners.get(j));
      if (j === 2) expect(found.size).toBe(0);
      else if (j === 5 || j === 8) expect(found).toEqual(new Set([13 - j]));
      else expect(found).toEqual(new Set([0, 1, 3, 9].filter((other) => other !== j)));
    }
    for (const j of last) expect(residuals[j]).toBeLessThan(1e-6);
    for (const j of [...order].slice(0, -3)) expect(residuals[j]).toBeGreaterThan(0.05);
  });

  test('groups are heads: one whose columns are those of another, mixed, adds nothing', () => {
    const rows = randomRows(80, 12, 7);
    for (const x of rows) {
      x[6] = x[0]! + x[1]!;
      x[7] = x[1]! - 0.5 * x[2]!;
      x[8] = 2 * x[2]!;
    }
    const { residuals, order } = groupRedundancy(gramOf(rows), 3);
    expect([0, 2]).toContain(order.at(-1));
    expect(residuals[order.at(-1)!]).toBeLessThan(1e-6);
    expect(Math.min(...[...order].slice(0, -1).map((group) => residuals[group]!))).toBeGreaterThan(0.5);
  });

  test('refuses sums that are no energy', () => {
    expect(() => groupRedundancy({ values: Float32Array.of(Number.NaN), columns: 1 })).toThrow(RangeError);
    expect(() => groupRedundancy({ values: new Float32Array(16), columns: 4 }, 3)).toThrow('not groups of 3');
  });
});
