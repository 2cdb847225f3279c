/** QL converges cubically; more than a handful per eigenvalue means that the matrix holds something that is no number. */
const MOST_SWEEPS = 60;

/** A tridiagonal matrix on its way to a diagonal one: diagonal `d`, subdiagonal `e`, and the rows `v` that turn with it. */
interface Sweep {
  readonly v: Float64Array;
  readonly d: Float64Array;
  readonly e: Float64Array;
  readonly n: number;
}

/**
 * Eigenvalues of a symmetric tridiagonal matrix in place of its diagonal `d`, in no order, by QL with implicit shifts (EISPACK's
 * tql2; Bowdler, Martin, Reinsch & Wilkinson 1968). Rows of `v` [n, n], the unit matrix before, are the eigenvectors. `e` [n]
 * holds what lies between neighbours, 0 at its end, and is spent. Throws RangeError when it does not converge.
 */
export function diagonalize(v: Float64Array, d: Float64Array, e: Float64Array): void {
  const n = d.length;
  let shift = 0;
  let largest = 0;
  for (let l = 0; l < n; l += 1) {
    largest = Math.max(largest, Math.abs(d[l]!) + Math.abs(e[l]!));
    let m = l;
    while (m < n - 1 && Math.abs(e[m]!) > Number.EPSILON * largest) m += 1;
    for (let sweep = 0; m > l && Math.abs(e[l]!) > Number.EPSILON * largest; sweep += 1) {
      if (sweep === MOST_SWEEPS) throw new RangeError(`eigenvalue ${l} of ${n} does not converge`);
      shift += implicitShift(d, e, l, n);
      rotate({ v, d, e, n }, l, m);
    }
    d[l]! += shift;
    e[l] = 0;
  }
}

/** Takes the shift off the diagonal from l on, and returns it. */
function implicitShift(d: Float64Array, e: Float64Array, l: number, n: number): number {
  const g = d[l]!;
  const p = (d[l + 1]! - g) / (2 * e[l]!);
  const r = p < 0 ? -Math.hypot(p, 1) : Math.hypot(p, 1);
  d[l] = e[l]! / (p + r);
  d[l + 1] = e[l]! * (p + r);
  const h = g - d[l]!;
  for (let i = l + 2; i < n; i += 1) d[i]! -= h;
  return h;
}

/** One QL sweep over rows l … m, by rotations of neighbouring rows. */
function rotate({ v, d, e, n }: Sweep, l: number, m: number): void {
  let p = d[m]!;
  let [c, c2, c3] = [1, 1, 1];
  const afterDiagonal = d[l + 1]!;
  const el1 = e[l + 1]!;
  let [s, s2] = [0, 0];
  for (let i = m - 1; i >= l; i -= 1) {
    c3 = c2;
    c2 = c;
    s2 = s;
    const g = c * e[i]!;
    const h = c * p;
    const r = Math.hypot(p, e[i]!);
    e[i + 1] = s * r;
    s = e[i]! / r;
    c = p / r;
    p = c * d[i]! - s * g;
    d[i + 1] = h + s * (c * g + s * d[i]!);
    for (let k = 0, a = i * n, b = a + n; k < n; k += 1, a += 1, b += 1) {
      const upper = v[b]!;
      v[b] = s * v[a]! + c * upper;
      v[a] = c * v[a]! - s * upper;
    }
  }
  p = (-s * s2 * c3 * el1 * e[l]!) / afterDiagonal;
  e[l] = s * p;
  d[l] = c * p;
}
