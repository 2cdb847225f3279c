/** A = Σ values[i] · vᵢ vᵢᵀ, values ascending; row i of `vectors` [size, size] is vᵢ, of length 1. */
export interface Eigen {
  readonly values: Float64Array;
  readonly vectors: Float64Array;
}

/** QL converges cubically; more than a handful per eigenvalue means that the matrix holds something that is no number. */
const MOST_SWEEPS = 60;

/**
 * Eigenvalues and eigenvectors of a symmetric matrix [size, size], which is not modified: Householder reflections to
 * tridiagonal form, then QL with implicit shifts (EISPACK's tred2 and tql2; Bowdler, Martin, Reinsch & Wilkinson 1968). The
 * matrix is kept transposed against those, so that every inner loop runs along a row.
 *
 * Values that are not finite give eigenvalues that are none. Throws RangeError when it does not converge.
 */
export function symmetricEigen(matrix: ArrayLike<number>, size: number): Eigen {
  const vectors = Float64Array.from(matrix);
  const diagonal = new Float64Array(size);
  const beside = new Float64Array(size);
  if (size === 0) return { values: diagonal, vectors };
  tridiagonalize(vectors, diagonal, beside, size);
  accumulate(vectors, diagonal, size);
  beside[0] = 0;
  diagonalize(vectors, diagonal, beside, size);
  return sorted(vectors, diagonal, size);
}

/** `diagonal` leaves with the scaled lengths that `accumulate` needs, `beside` with the subdiagonal. */
function tridiagonalize(v: Float64Array, d: Float64Array, e: Float64Array, n: number): void {
  for (let j = 0; j < n; j += 1) d[j] = v[j * n + n - 1]!;
  for (let i = n - 1; i > 0; i -= 1) {
    let scale = 0;
    for (let k = 0; k < i; k += 1) scale += Math.abs(d[k]!);
    let h = 0;
    if (scale === 0) {
      e[i] = d[i - 1]!;
      for (let j = 0; j < i; j += 1) {
        d[j] = v[j * n + i - 1]!;
        v[j * n + i] = 0;
        v[i * n + j] = 0;
      }
    } else {
      h = reflect({ v, d, e, n }, i, scale);
    }
    d[i] = h;
  }
}

interface Tridiagonal {
  readonly v: Float64Array;
  readonly d: Float64Array;
  readonly e: Float64Array;
  readonly n: number;
}

/** One Householder reflection, which clears row i left of its subdiagonal; returns half of the squared length of its vector. */
function reflect({ v, d, e, n }: Tridiagonal, i: number, scale: number): number {
  let h = 0;
  for (let k = 0; k < i; k += 1) {
    d[k]! /= scale;
    h += d[k]! ** 2;
  }
  const last = d[i - 1]!;
  const g = last > 0 ? -Math.sqrt(h) : Math.sqrt(h);
  e[i] = scale * g;
  h -= last * g;
  d[i - 1] = last - g;
  e.fill(0, 0, i);
  for (let j = 0; j < i; j += 1) {
    const f = d[j]!;
    v[i * n + j] = f;
    let sum = e[j]! + v[j * n + j]! * f;
    for (let k = j + 1, p = j * n + k; k < i; k += 1, p += 1) {
      sum += v[p]! * d[k]!;
      e[k]! += v[p]! * f;
    }
    e[j] = sum;
  }
  let f = 0;
  for (let j = 0; j < i; j += 1) {
    e[j]! /= h;
    f += e[j]! * d[j]!;
  }
  const half = f / (h + h);
  for (let j = 0; j < i; j += 1) e[j]! -= half * d[j]!;
  for (let j = 0; j < i; j += 1) {
    const [dj, ej] = [d[j]!, e[j]!];
    for (let k = j, p = j * n + k; k < i; k += 1, p += 1) v[p]! -= dj * e[k]! + ej * d[k]!;
    d[j] = v[j * n + i - 1]!;
    v[j * n + i] = 0;
  }
  return h;
}

/** Multiplies the reflections out into `v`, and leaves the diagonal in `d`. */
function accumulate(v: Float64Array, d: Float64Array, n: number): void {
  for (let i = 0; i < n - 1; i += 1) {
    v[i * n + n - 1] = v[i * n + i]!;
    v[i * n + i] = 1;
    const h = d[i + 1]!;
    const next = (i + 1) * n;
    if (h !== 0) {
      for (let k = 0; k <= i; k += 1) d[k] = v[next + k]! / h;
      for (let j = 0; j <= i; j += 1) {
        let g = 0;
        for (let k = 0; k <= i; k += 1) g += v[next + k]! * v[j * n + k]!;
        for (let k = 0; k <= i; k += 1) v[j * n + k]! -= g * d[k]!;
      }
    }
    v.fill(0, next, next + i + 1);
  }
  for (let j = 0; j < n; j += 1) {
    d[j] = v[j * n + n - 1]!;
    v[j * n + n - 1] = 0;
  }
  v[n * n - 1] = 1;
}

function diagonalize(v: Float64Array, d: Float64Array, e: Float64Array, n: number): void {
  for (let i = 1; i < n; i += 1) e[i - 1] = e[i]!;
  e[n - 1] = 0;
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
function rotate({ v, d, e, n }: Tridiagonal, l: number, m: number): void {
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

function sorted(v: Float64Array, d: Float64Array, n: number): Eigen {
  const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => d[a]! - d[b]! || a - b);
  const vectors = new Float64Array(n * n);
  for (const [to, from] of order.entries()) vectors.set(v.subarray(from * n, (from + 1) * n), to * n);
  return { values: Float64Array.from(order, (i) => d[i]!), vectors };
}
