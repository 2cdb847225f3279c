import type { DoubleProducts } from '../tensor/index.js';
import type { Tridiagonal } from './tridiagonal.js';

/** Rows of vectors that one product changes. */
const STRIP_ROWS = 256;

/** Reflections that go over the vectors together, by three products. */
const BLOCK_REFLECTORS = 64;

/** Rows of `vectors` [count, size], eigenvectors of T, become Q times them: those of A. */
export function applyReflectors(vectors: Float64Array, reduced: Tridiagonal, doubles: DoubleProducts): void {
  const { size: n, reflectors } = reduced;
  const last = Math.floor((n - 1) / BLOCK_REFLECTORS) * BLOCK_REFLECTORS;
  for (let start = last; start >= 0; start -= BLOCK_REFLECTORS) {
    const count = Math.min(BLOCK_REFLECTORS, n - start);
    const v = { values: reflectors.subarray(start * n, (start + count) * n), rows: count, columns: n };
    const together = { values: combined(reduced, start, count, doubles), rows: count, columns: count };
    for (let row = 0; row < n; row += STRIP_ROWS) {
      const rows = Math.min(STRIP_ROWS, n - row);
      const strip = vectors.subarray(row * n, (row + rows) * n);
      const shares = doubles.multiply({ values: strip, rows, columns: n }, v, { transposeRight: true });
      const scaled = doubles.multiply({ values: shares, rows, columns: count }, together, { transposeRight: true });
      const taken = doubles.multiply({ values: scaled, rows, columns: count }, v);
      for (let k = 0; k < taken.length; k += 1) strip[k]! -= taken[k]!;
    }
  }
}

/** T, upper triangular, with H_start … H_{start + count − 1} = I − Vᵀ T V (LAPACK's larft). */
function combined({ size: n, reflectors, scales }: Tridiagonal, start: number, count: number, doubles: DoubleProducts) {
  const v = { values: reflectors.subarray(start * n, (start + count) * n), rows: count, columns: n };
  const products = doubles.multiply(v, v, { transposeRight: true });
  const t = new Float64Array(count * count);
  for (let i = 0; i < count; i += 1) {
    const scale = scales[start + i]!;
    t[i * count + i] = scale;
    for (let row = 0; row < i; row += 1) {
      let sum = 0;
      for (let k = row; k < i; k += 1) sum += t[row * count + k]! * products[k * count + i]!;
      t[row * count + i] = -scale * sum;
    }
  }
  return t;
}
