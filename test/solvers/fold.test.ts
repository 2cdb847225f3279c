import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leastSquaresFold } from '../../src/solvers/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { correlatedTokens, damped, distance, gramOf, plainInverse, plainProduct, randomValues } from './random.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

/** W G_{:,K} (G_KK)⁻¹ of the damped matrix G, by Gauss–Jordan. */
function plainFold(weight: Float32Array, rows: number, gram: Float64Array, columns: number, kept: readonly number[]) {
  const inner = kept.length;
  const cross = Float64Array.from(
    { length: columns * inner },
    (_, i) => gram[Math.floor(i / inner) * columns + kept[i % inner]!]!,
  );
  const square = Float64Array.from(
    { length: inner * inner },
    (_, i) => cross[kept[Math.floor(i / inner)]! * inner + (i % inner)]!,
  );
  const sides = plainProduct(weight, cross, { rows, inner: columns, columns: inner });
  return plainProduct(sides, plainInverse(square, inner), { rows, inner, columns: inner });
}

/** ‖W' X_K − W X‖² over tokens. */
function outputError(
  weight: Float32Array,
  folded: ArrayLike<number>,
  tokens: Float64Array,
  kept: readonly number[],
  rows: number,
) {
  const columns = weight.length / rows;
  let error = 0;
  for (let start = 0; start < tokens.length; start += columns) {
    for (let row = 0; row < rows; row += 1) {
      let difference = 0;
      for (let j = 0; j < columns; j += 1) difference += weight[row * columns + j]! * tokens[start + j]!;
      for (const [k, j] of kept.entries()) difference -= folded[row * kept.length + k]! * tokens[start + j]!;
      error += difference ** 2;
    }
  }
  return error;
}

describe('leastSquaresFold', () => {
  it('is W G_K (G_KK)⁻¹ of the damped Gram matrix', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 20 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 1e6 }),
        async (columns, rows, seed) => {
          const weight = { values: randomValues(rows * columns, seed), rows, columns };
          const gram = gramOf(correlatedTokens(50, columns, seed), columns);
          const kept = Array.from({ length: columns }, (_, i) => i).filter((i) => i === 0 || (i * 7 + seed) % 3 !== 0);
          const folded = await leastSquaresFold(weight, gram, kept);
          // Damping by the mean diagonal of the kept part, as the solver sees only that part.
          const trace = kept.reduce((sum, i) => sum + gram.values[i * columns + i]!, 0);
          const expected = plainFold(
            weight.values,
            rows,
            damped(gram, (0.01 * trace) / kept.length / meanDiagonal(gram.values, columns)),
            columns,
            kept,
          );
          expect(distance(folded, expected)).toBeLessThan(1e-5);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('makes the error of the outputs smaller than dropping does, and smaller than any small change of it', async () => {
    const [rows, columns] = [5, 16];
    const tokens = correlatedTokens(200, columns, 4);
    const weight = randomValues(rows * columns, 5);
    const kept = [0, 1, 2, 4, 5, 7, 8, 9, 11, 14];
    const folded = await leastSquaresFold({ values: weight, rows, columns }, gramOf(tokens, columns), kept, {
      damp: 1e-9,
    });
    const dropped = Float32Array.from(
      { length: rows * kept.length },
      (_, i) => weight[Math.floor(i / kept.length) * columns + kept[i % kept.length]!]!,
    );
    const error = outputError(weight, folded, tokens, kept, rows);
    expect(error).toBeLessThan(0.8 * outputError(weight, dropped, tokens, kept, rows));
    for (const step of [-1e-3, 1e-3]) {
      for (let i = 0; i < folded.length; i += 1) {
        const moved = Float64Array.from(folded);
        moved[i]! += step;
        expect(outputError(weight, moved, tokens, kept, rows)).toBeGreaterThan(error);
      }
    }
  });

  it('gives the same on the device, where a large fold is solved in single precision', async () => {
    const [rows, columns] = [8, 1180];
    const gram = gramOf(correlatedTokens(40, columns, 6), columns);
    const weight = { values: randomValues(rows * columns, 7), rows, columns };
    const kept = Array.from({ length: columns }, (_, i) => i).filter((i) => i % 9 !== 0);
    expect(kept.length).toBeGreaterThan(1024);
    const onDevice = await leastSquaresFold(weight, gram, kept, { device });
    expect(distance(onDevice, await leastSquaresFold(weight, gram, kept))).toBeLessThan(1e-3);
  });

  it('leaves weights as they are when nothing is removed', async () => {
    const weight = { values: randomValues(12, 8), rows: 3, columns: 4 };
    const gram = gramOf(correlatedTokens(9, 4, 8), 4);
    expect(await leastSquaresFold(weight, gram, [0, 1, 2, 3])).toEqual(weight.values);
  });

  it('carries a copied input over to its copy whole', async () => {
    // Columns 0 and 1 are the same signal: without column 1, column 0 does the work of both.
    const gram = { values: new Float32Array([1, 1, 0, 1, 1, 0, 0, 0, 1]), columns: 3 };
    const folded = await leastSquaresFold({ values: new Float32Array([2, 3, 5]), rows: 1, columns: 3 }, gram, [0, 2], {
      damp: 1e-8,
    });
    expect([...folded].map((value) => Math.round(value * 1e5) / 1e5)).toEqual([5, 5]);
  });

  it.each([[[1, 0]], [[0, 0]], [[0, 4]], [[-1]]])('refuses the columns %j', async (kept) => {
    const gram = gramOf(correlatedTokens(9, 4, 8), 4);
    await expect(leastSquaresFold({ values: new Float32Array(8), rows: 2, columns: 4 }, gram, kept)).rejects.toThrow(
      RangeError,
    );
  });
});

function meanDiagonal(values: Float32Array, columns: number): number {
  let trace = 0;
  for (let i = 0; i < columns; i += 1) trace += values[i * columns + i]!;
  return trace / columns;
}
