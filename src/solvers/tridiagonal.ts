import type { DoubleProducts } from '../tensor/index.js';

/** Columns that are reduced before the rest of the matrix hears of it, by one product. */
const PANEL_COLUMNS = 32;

/** Rows of the matrix that one product corrects. */
const STRIP_ROWS = 256;

/** A = Q T Qᵀ. */
export interface Tridiagonal {
  readonly size: number;
  readonly diagonal: Float64Array;
  /** Between neighbours, [size − 1]. */
  readonly beside: Float64Array;
  /** Q = H₀ H₁ …, Hᵢ = I − scales[i] · vᵢ vᵢᵀ; vᵢ is row i of [size, size], 0 up to i. */
  readonly reflectors: Float64Array;
  readonly scales: Float64Array;
}

/**
 * Reduces a symmetric matrix [size, size] to tridiagonal form by Householder reflections, in blocks: half of the work is products
 * of matrices, half of it products with vectors (LAPACK's sytrd and latrd; Dongarra, Sorensen & Hammarling 1989). Reads the lower
 * triangle, which is spent.
 */
export function tridiagonalize(a: Float64Array, size: number, doubles: DoubleProducts): Tridiagonal {
  const reduced: Tridiagonal = {
    size,
    diagonal: new Float64Array(size),
    beside: new Float64Array(Math.max(0, size - 1)),
    reflectors: new Float64Array(size * size),
    scales: new Float64Array(size),
  };
  for (let start = 0; start < size; start += PANEL_COLUMNS) {
    const count = Math.min(PANEL_COLUMNS, size - start);
    const images = reducePanel(a, reduced, start, count);
    correctRest(a, reduced, { start, count, images }, doubles);
  }
  return reduced;
}

/** Reduces columns [start, start + count); returns the rows wᵢ of A − Σ vᵢ wᵢᵀ + wᵢ vᵢᵀ, [count, size]. */
function reducePanel(a: Float64Array, reduced: Tridiagonal, start: number, count: number): Float64Array {
  const { size: n, diagonal, beside, reflectors, scales } = reduced;
  const images = new Float64Array(count * n);
  const column = new Float64Array(n);
  for (let i = 0; i < count; i += 1) {
    const j = start + i;
    for (let row = j; row < n; row += 1) column[row] = a[row * n + j]!;
    for (let k = 0; k < i; k += 1) {
      const [v, w] = [(start + k) * n, k * n];
      const [vj, wj] = [reflectors[v + j]!, images[w + j]!];
      for (let row = j; row < n; row += 1) column[row]! -= reflectors[v + row]! * wj + images[w + row]! * vj;
    }
    diagonal[j] = column[j]!;
    if (j + 1 === n) break;
    const vector = reflectors.subarray(j * n, (j + 1) * n);
    [beside[j], scales[j]] = reflect(column, vector, j + 1);
    const image = images.subarray(i * n, (i + 1) * n);
    if (scales[j] !== 0) imageOf({ a, reduced, images, start, i }, vector, image);
  }
  return images;
}

/** Writes v with (I − scale · v vᵀ) x = value · e over x's elements from `first` on; v is 1 there. Returns value and scale. */
function reflect(x: Float64Array, v: Float64Array, first: number): [value: number, scale: number] {
  const head = x[first]!;
  let largest = 0;
  for (let k = first + 1; k < x.length; k += 1) largest = Math.max(largest, Math.abs(x[k]!));
  v[first] = 1;
  if (largest === 0) return [head, 0];
  const most = Math.max(largest, Math.abs(head));
  let squares = 0;
  for (let k = first; k < x.length; k += 1) squares += (x[k]! / most) ** 2;
  const value = head > 0 ? -most * Math.sqrt(squares) : most * Math.sqrt(squares);
  for (let k = first + 1; k < x.length; k += 1) v[k] = x[k]! / (head - value);
  return [value, (value - head) / value];
}

interface PanelState {
  readonly a: Float64Array;
  readonly reduced: Tridiagonal;
  readonly images: Float64Array;
  readonly start: number;
  readonly i: number;
}

/** w = s·(A v − Σ vₖ (wₖ·v) + wₖ (vₖ·v)), less the half of s (w·v) v that the two-sided product counts twice. */
function imageOf({ a, reduced, images, start, i }: PanelState, v: Float64Array, w: Float64Array): void {
  const { size: n, reflectors, scales } = reduced;
  const first = start + i + 1;
  timesSymmetric(a, n, first, v, w);
  for (let k = 0; k < i; k += 1) {
    const [own, other] = [(start + k) * n, k * n];
    let [byImage, byVector] = [0, 0];
    for (let row = first; row < n; row += 1) {
      byImage += images[other + row]! * v[row]!;
      byVector += reflectors[own + row]! * v[row]!;
    }
    for (let row = first; row < n; row += 1) {
      w[row]! -= reflectors[own + row]! * byImage + images[other + row]! * byVector;
    }
  }
  const scale = scales[start + i]!;
  let along = 0;
  for (let row = first; row < n; row += 1) {
    w[row]! *= scale;
    along += w[row]! * v[row]!;
  }
  const half = (scale * along) / 2;
  for (let row = first; row < n; row += 1) w[row]! -= half * v[row]!;
}

/** w = A v over the rows and columns from `first` on, from the lower triangle; what is left of four rows is read once for both sides. */
function timesSymmetric(a: Float64Array, n: number, first: number, v: Float64Array, w: Float64Array): void {
  for (let row = first; row < n; row += SYMMETRIC_ROWS) {
    const rows = Math.min(SYMMETRIC_ROWS, n - row);
    if (rows === SYMMETRIC_ROWS) timesFourRows(a, n, { first, row }, v, w);
    const from = rows === SYMMETRIC_ROWS ? row : first;
    for (let i = row; i < row + rows; i += 1) {
      const start = i * n;
      const own = v[i]!;
      let sum = a[start + i]! * own;
      for (let k = from; k < i; k += 1) {
        const entry = a[start + k]!;
        sum += entry * v[k]!;
        w[k]! += entry * own;
      }
      w[i]! += sum;
    }
  }
}

const SYMMETRIC_ROWS = 4;

function timesFourRows(
  a: Float64Array,
  n: number,
  { first, row }: { readonly first: number; readonly row: number },
  v: Float64Array,
  w: Float64Array,
): void {
  const v0 = v[row]!;
  const v1 = v[row + 1]!;
  const v2 = v[row + 2]!;
  const v3 = v[row + 3]!;
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  for (let k = first, p = row * n + first; k < row; k += 1, p += 1) {
    const a0 = a[p]!;
    const a1 = a[p + n]!;
    const a2 = a[p + 2 * n]!;
    const a3 = a[p + 3 * n]!;
    const vk = v[k]!;
    s0 += a0 * vk;
    s1 += a1 * vk;
    s2 += a2 * vk;
    s3 += a3 * vk;
    w[k]! += a0 * v0 + a1 * v1 + (a2 * v2 + a3 * v3);
  }
  w[row]! += s0;
  w[row + 1]! += s1;
  w[row + 2]! += s2;
  w[row + 3]! += s3;
}

/** A −= V Wᵀ + W Vᵀ right of the panel and below it, in its lower triangle. */
function correctRest(
  a: Float64Array,
  { size: n, reflectors }: Tridiagonal,
  { start, count, images }: { readonly start: number; readonly count: number; readonly images: Float64Array },
  doubles: DoubleProducts,
): void {
  const first = start + count;
  const rest = n - first;
  if (rest === 0) return;
  const sides = [new Float64Array(2 * count * rest), new Float64Array(2 * count * rest)] as const;
  for (let k = 0; k < count; k += 1) {
    const v = reflectors.subarray((start + k) * n + first, (start + k + 1) * n);
    const w = images.subarray(k * n + first, (k + 1) * n);
    sides[0].set(v, k * rest);
    sides[0].set(w, (count + k) * rest);
    sides[1].set(w, k * rest);
    sides[1].set(v, (count + k) * rest);
  }
  for (let top = 0; top < rest; top += STRIP_ROWS) {
    const rows = Math.min(STRIP_ROWS, rest - top);
    const width = top + rows;
    const left = { values: columnsFrom(sides[0], rest, top, rows), rows: 2 * count, columns: rows };
    const right = { values: columnsFrom(sides[1], rest, 0, width), rows: 2 * count, columns: width };
    const product = doubles.multiply(left, right, { transposeLeft: true });
    for (let row = 0; row < rows; row += 1) {
      const to = (first + top + row) * n + first;
      for (let k = 0, from = row * width; k <= top + row; k += 1) a[to + k]! -= product[from + k]!;
    }
  }
}

function columnsFrom(values: Float64Array, stride: number, start: number, count: number): Float64Array {
  if (count === stride) return values;
  const rows = values.length / stride;
  const taken = new Float64Array(rows * count);
  for (let row = 0; row < rows; row += 1) {
    taken.set(values.subarray(row * stride + start, row * stride + start + count), row * count);
  }
  return taken;
}
