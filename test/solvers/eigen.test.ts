import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { symmetricEigen } from '../../src/solvers/eigen.js';
import { correlatedTokens, distance, gramOf, plainProduct } from './random.js';

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
});
