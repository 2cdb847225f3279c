import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { symmetricEigen } from '../../src/solvers/eigen.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { correlatedTokens, distance, gramOf, plainProduct } from './random.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

/** Σ λ v vᵀ. */
function rebuilt({ values, vectors }: ReturnType<typeof symmetricEigen>): Float64Array {
  const n = values.length;
  const scaled = vectors.map((value, i) => value * values[Math.floor(i / n)]!);
  const transposed = Float64Array.from({ length: n * n }, (_, i) => vectors[(i % n) * n + Math.floor(i / n)]!);
  return plainProduct(transposed, scaled, { rows: n, inner: n, columns: n });
}

describe('symmetricEigen', () => {
  it('gives back the matrix, by orthonormal vectors and ascending values', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 24 }), fc.integer({ min: 1, max: 1e6 }), (n, seed) => {
        // Some are singular: fewer tokens than columns.
        const { values: gram } = gramOf(correlatedTokens(1 + (seed % 30), n, seed), n);
        const eigen = symmetricEigen(gram, n);
        expect(distance(rebuilt(eigen), gram)).toBeLessThan(1e-12);
        const unit = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
        const transposed = Float64Array.from(
          { length: n * n },
          (_, i) => eigen.vectors[(i % n) * n + Math.floor(i / n)]!,
        );
        expect(distance(plainProduct(eigen.vectors, transposed, { rows: n, inner: n, columns: n }), unit)).toBeLessThan(
          1e-12,
        );
        for (let i = 1; i < n; i += 1) expect(eigen.values[i]!).toBeGreaterThanOrEqual(eigen.values[i - 1]!);
      }),
      { numRuns: 60 },
    );
  });

  it('has the values of a chain of springs: 2 − 2 cos(kπ / (n + 1))', () => {
    const n = 9;
    const chain = Float64Array.from({ length: n * n }, (_, i) => [2, -1][Math.abs(Math.floor(i / n) - (i % n))] ?? 0);
    const expected = Float64Array.from({ length: n }, (_, k) => 2 - 2 * Math.cos(((k + 1) * Math.PI) / (n + 1)));
    expect(distance(symmetricEigen(chain, n).values, expected)).toBeLessThan(1e-14);
  });

  it.each([
    ['zeros', 5, 0],
    ['the unit matrix', 5, 1],
  ])('of %s is that', (_, n, value) => {
    const diagonal = Float64Array.from({ length: n * n }, (__, i) => (i % (n + 1) === 0 ? value : 0));
    expect(symmetricEigen(diagonal, n).values).toEqual(new Float64Array(n).fill(value));
  });

  // 33 is the first size that is divided, 129 has reflections in several panels; a chain's halves are alike, so that most deflates.
  it.each([
    ['weights of neighbours falling', 33, (r: number, c: number) => 1 / (1 + Math.abs(r - c))],
    ['seven orders of magnitude', 129, (r: number, c: number) => 10 ** ((-7 * (r + c)) / 258) / (1 + Math.abs(r - c))],
    ['rank one', 70, () => 1],
    ['Wilkinson, pairs that agree to the last digit', 101, wilkinson(101)],
    ['diagonal, each value twice', 66, (r: number, c: number) => (r === c ? Math.floor(r / 2) : 0)],
    ['halves that nothing couples', 80, (r: number, c: number) => (r < 40 === c < 40 ? 1 / (1 + r + c) : 0)],
    ['signs of both kinds', 97, (r: number, c: number) => Math.sin(1 + r * c)],
  ])('keeps its digits: %s, %i', (_, n, entry) => {
    const matrix = Float64Array.from({ length: n * n }, (__, i) => entry(Math.floor(i / n), i % n));
    for (const on of [device, undefined]) {
      const eigen = symmetricEigen(matrix, n, on);
      const norm = Math.max(...eigen.values.map(Math.abs));
      const back = rebuilt(eigen);
      for (const [i, value] of matrix.entries()) expect(Math.abs(back[i]! - value)).toBeLessThan(1e-14 * n * norm);
      expect(notOrthogonal(eigen.vectors, n)).toBeLessThan(2e-14);
    }
  });

  it('has the values that LAPACK has', () => {
    // numpy.linalg.eigvalsh of 1 / (1 + |i − j|), 40 × 40: the two smallest, one from the middle, the largest.
    const n = 40;
    const matrix = Float64Array.from({ length: n * n }, (_, i) => 1 / (1 + Math.abs(Math.floor(i / n) - (i % n))));
    const { values } = symmetricEigen(matrix, n, device);
    const expected = LAPACK_VALUES;
    expected.forEach(([place, value]) => {
      expect(Math.abs(values[place]! - value)).toBeLessThan(1e-14);
    });
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('of a matrix with %s has no values', (value) => {
    const matrix = new Float64Array(9).fill(1);
    matrix[4] = value;
    const { values, vectors } = symmetricEigen(matrix, 3, device);
    expect([...values, ...vectors].every(Number.isNaN)).toBe(true);
  });

  it('of nothing is nothing', () => {
    expect(symmetricEigen([], 0)).toEqual({ values: new Float64Array(0), vectors: new Float64Array(0) });
  });
});

const LAPACK_VALUES = [
  [0, 0.38663843106927054],
  [1, 0.387673317930588],
  [20, 0.5906147670785981],
  [39, 5.855454370377004],
] as const;

/** |i − (n − 1) / 2| on the diagonal, 1 beside it. */
function wilkinson(n: number): (r: number, c: number) => number {
  return (r, c) => (r === c ? Math.abs(r - (n - 1) / 2) : Number(Math.abs(r - c) === 1));
}

/** The largest of |V Vᵀ − I|. */
function notOrthogonal(vectors: Float64Array, n: number): number {
  let largest = 0;
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let sum = i === j ? -1 : 0;
      for (let k = 0; k < n; k += 1) sum += vectors[i * n + k]! * vectors[j * n + k]!;
      largest = Math.max(largest, Math.abs(sum));
    }
  }
  return largest;
}
