/**
 * Singular values of a matrix [rows, columns], descending, and its left singular vectors as rows: one-sided Jacobi in double
 * precision (Hestenes 1958), rotating rows until all are orthogonal. Slow, and right to the last digits of each value.
 */
export function jacobiSvd(matrix: ArrayLike<number>, rows: number, columns: number) {
  const a = Array.from({ length: rows }, (_, i) =>
    Float64Array.from({ length: columns }, (_, j) => matrix[i * columns + j]!),
  );
  const u = Array.from({ length: rows }, (_, i) => Float64Array.from({ length: rows }, (_, j) => (i === j ? 1 : 0)));
  for (let sweep = 0, turned = true; turned && sweep < 60; sweep += 1) {
    turned = false;
    for (let p = 0; p < rows; p += 1) {
      for (let q = p + 1; q < rows; q += 1) {
        const [pp, qq, pq] = [dot(a[p]!, a[p]!), dot(a[q]!, a[q]!), dot(a[p]!, a[q]!)];
        if (Math.abs(pq) <= 1e-15 * Math.sqrt(pp * qq)) continue;
        turned = true;
        const zeta = (qq - pp) / (2 * pq);
        const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const c = 1 / Math.hypot(1, t);
        rotate(a[p]!, a[q]!, c, c * t);
        rotate(u[p]!, u[q]!, c, c * t);
      }
    }
  }
  const norms = a.map((row) => Math.sqrt(dot(row, row)));
  const order = norms.map((_, i) => i).sort((i, j) => norms[j]! - norms[i]!);
  return { singular: order.map((i) => norms[i]!), left: order.map((i) => u[i]!) };
}

function rotate(x: Float64Array, y: Float64Array, c: number, s: number): void {
  for (let k = 0; k < x.length; k += 1) [x[k], y[k]] = [c * x[k]! - s * y[k]!, s * x[k]! + c * y[k]!];
}

function dot(x: Float64Array, y: Float64Array): number {
  return x.reduce((sum, value, k) => sum + value * y[k]!, 0);
}

/** The lower Cholesky factor, the plain way. */
export function plainCholesky(matrix: ArrayLike<number>, size: number): Float64Array {
  const lower = new Float64Array(size * size);
  for (let i = 0; i < size; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let sum = matrix[i * size + j]!;
      for (let k = 0; k < j; k += 1) sum -= lower[i * size + k]! * lower[j * size + k]!;
      lower[i * size + j] = i === j ? Math.sqrt(sum) : sum / lower[j * size + j]!;
    }
  }
  return lower;
}
