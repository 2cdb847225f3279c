import type { DoubleProducts } from '../tensor/index.js';
import { solveRankOne } from './secular.js';
import { diagonalize } from './tridiagonal-ql.js';

/** Up to this size a tridiagonal matrix is solved by QL sweeps; halves of larger ones are put together again. */
const LEAF_SIZE = 32;

/** Columns of the eigenvectors that one product makes, in the place of those it is made of. */
const STRIP_COLUMNS = 256;

/** Parts of the precision below which a coupling or a distance is rounding (LAPACK's laed2). */
const DEFLATION = 8;

/** Eigenvalues of a part of T, in no order, and their vectors as rows of the whole, which are 0 outside the part's columns. */
interface Part {
  readonly start: number;
  readonly size: number;
}

interface Work {
  readonly n: number;
  readonly values: Float64Array;
  readonly vectors: Float64Array;
  readonly doubles: DoubleProducts;
}

/**
 * Eigenvalues, in no order, and eigenvectors, as rows of [n, n], of a symmetric tridiagonal matrix: halves are solved apart, and
 * what couples them is a matrix of rank one (Cuppen 1981; LAPACK's stedc). Nearly all work are products of matrices, and of those
 * only what does not deflate takes part. Throws RangeError when an eigenvalue is not found.
 */
export function tridiagonalEigen(
  diagonal: Float64Array,
  beside: Float64Array,
  doubles: DoubleProducts,
): { readonly values: Float64Array; readonly vectors: Float64Array } {
  const n = diagonal.length;
  const work: Work = { n, values: diagonal.slice(), vectors: new Float64Array(n * n), doubles };
  solvePart(work, beside, { start: 0, size: n });
  return work;
}

function solvePart(work: Work, beside: Float64Array, { start, size }: Part): void {
  if (size <= LEAF_SIZE) {
    solveLeaf(work, beside, { start, size });
    return;
  }
  const half = Math.floor(size / 2);
  const [top, bottom] = [
    { start, size: half },
    { start: start + half, size: size - half },
  ];
  const coupling = beside[bottom.start - 1]!;
  // T = diag(T₁, T₂) + |β| v vᵀ, v = e_last of the first + the sign of β · e_first of the second.
  work.values[bottom.start - 1]! -= Math.abs(coupling);
  work.values[bottom.start]! -= Math.abs(coupling);
  solvePart(work, beside, top);
  solvePart(work, beside, bottom);
  if (coupling !== 0) merge(work, top, bottom, coupling);
}

function solveLeaf({ n, values, vectors }: Work, beside: Float64Array, { start, size }: Part): void {
  const own = new Float64Array(size * size);
  for (let i = 0; i < size; i += 1) own[i * size + i] = 1;
  const subdiagonal = new Float64Array(size);
  subdiagonal.set(beside.subarray(start, start + size - 1));
  diagonalize(own, values.subarray(start, start + size), subdiagonal);
  for (let i = 0; i < size; i += 1) {
    vectors.set(own.subarray(i * size, (i + 1) * size), (start + i) * n + start);
  }
}

/** What a merge finds out before it solves anything: rows of the vectors by ascending d, and those that take part. */
interface Deflated {
  readonly active: readonly number[];
  /** zⱼ by row of the part. */
  readonly z: Float64Array;
}

function merge(work: Work, top: Part, bottom: Part, coupling: number): void {
  const { n, values, vectors } = work;
  const part = { start: top.start, size: top.size + bottom.size };
  const z = new Float64Array(part.size);
  const sign = coupling < 0 ? -1 : 1;
  for (let i = 0; i < part.size; i += 1) {
    const row = (part.start + i) * n;
    const end = i < top.size ? vectors[row + bottom.start - 1]! : sign * vectors[row + bottom.start]!;
    z[i] = end * Math.SQRT1_2;
  }
  // Both ends are rows of orthogonal matrices: z has length 1, and the coupling twice its weight.
  const rho = 2 * Math.abs(coupling);
  const { active } = deflate(work, part, z, rho);
  if (active.length === 0) return;
  const found = solveRankOne({
    d: Float64Array.from(active, (i) => values[part.start + i]!),
    ...unit(
      Float64Array.from(active, (i) => z[i]!),
      rho,
    ),
  });
  combineRows(work, { part, active, split: bottom.start }, found.vectors);
  active.forEach((i, at) => {
    values[part.start + i] = found.values[at]!;
  });
}

/** z at length 1, which deflation has taken some of, and ρ as much larger. */
function unit(z: Float64Array, rho: number): { readonly z: Float64Array; readonly rho: number } {
  let squares = 0;
  for (const value of z) squares += value * value;
  const scale = 1 / Math.sqrt(squares);
  return { z: z.map((value) => value * scale), rho: rho * squares };
}

/** Takes out what the coupling does not reach, and of two equal d's all but one, by turning their vectors. */
function deflate({ n, values, vectors }: Work, { start, size }: Part, z: Float64Array, rho: number): Deflated {
  const order = Array.from({ length: size }, (_, i) => i).sort(
    (a, b) => values[start + a]! - values[start + b]! || a - b,
  );
  let largest = 0;
  for (let i = 0; i < size; i += 1) largest = Math.max(largest, Math.abs(values[start + i]!), rho * Math.abs(z[i]!));
  const least = DEFLATION * Number.EPSILON * largest;
  const active: number[] = [];
  for (const i of order) {
    if (rho * Math.abs(z[i]!) <= least) continue;
    const before = active.at(-1);
    if (before !== undefined && nearlyEqual(values, start, z, { before, i, least })) {
      active.pop();
      turn({ n, values, vectors }, start, z, { before, i });
    }
    active.push(i);
  }
  // A turn moves a d by less than what is rounding; the order of those that stay may change by as much.
  return { active: active.sort((a, b) => values[start + a]! - values[start + b]! || a - b), z };
}

function nearlyEqual(
  values: Float64Array,
  start: number,
  z: Float64Array,
  { before, i, least }: { readonly before: number; readonly i: number; readonly least: number },
): boolean {
  const length = Math.hypot(z[before]!, z[i]!);
  const [c, s] = [z[i]! / length, z[before]! / length];
  return Math.abs((values[start + i]! - values[start + before]!) * c * s) <= least;
}

/** Turns two rows so that z of `before` is 0 and that of `i` both of them. */
function turn(
  { n, values, vectors }: Pick<Work, 'n' | 'values' | 'vectors'>,
  start: number,
  z: Float64Array,
  { before, i }: { readonly before: number; readonly i: number },
): void {
  const length = Math.hypot(z[before]!, z[i]!);
  const [c, s] = [z[i]! / length, z[before]! / length];
  z[i] = length;
  z[before] = 0;
  const [d0, d1] = [values[start + before]!, values[start + i]!];
  values[start + before] = d0 * c * c + d1 * s * s;
  values[start + i] = d0 * s * s + d1 * c * c;
  const [p, q] = [(start + before) * n, (start + i) * n];
  for (let k = 0; k < n; k += 1) {
    const [a, b] = [vectors[p + k]!, vectors[q + k]!];
    vectors[p + k] = c * a - s * b;
    vectors[q + k] = s * a + c * b;
  }
}

interface Combination {
  readonly part: Part;
  /** Rows of the part that are combined. */
  readonly active: readonly number[];
  /** The column where the second half begins. */
  readonly split: number;
}

/** Replaces the active rows by their combinations, a strip of columns at a time, each half by the rows that reach into it. */
function combineRows(work: Work, { part, active, split }: Combination, weights: Float64Array): void {
  const halves = [
    { from: part.start, to: split },
    { from: split, to: part.start + part.size },
  ];
  for (const { from, to } of halves) {
    const reaching = active.flatMap((i, at) => (isZero(work, part.start + i, from, to) ? [] : [at]));
    if (reaching.length === 0) continue;
    const square = { values: takeColumns(weights, active.length, reaching), rows: active.length };
    for (let column = from; column < to; column += STRIP_COLUMNS) {
      const columns = Math.min(STRIP_COLUMNS, to - column);
      combineStrip(work, { rows: active.map((i) => part.start + i), reaching, column, columns }, square);
    }
  }
}

interface Strip {
  readonly rows: readonly number[];
  /** Of `rows`, those that are not 0 in the strip's half. */
  readonly reaching: readonly number[];
  readonly column: number;
  readonly columns: number;
}

function combineStrip(
  { n, vectors, doubles }: Work,
  { rows, reaching, column, columns }: Strip,
  weights: { readonly values: Float64Array; readonly rows: number },
): void {
  const strip = new Float64Array(reaching.length * columns);
  reaching.forEach((at, to) => {
    const start = rows[at]! * n + column;
    strip.set(vectors.subarray(start, start + columns), to * columns);
  });
  const left = { ...weights, columns: reaching.length };
  const product = doubles.multiply(left, { values: strip, rows: reaching.length, columns });
  rows.forEach((row, from) => {
    vectors.set(product.subarray(from * columns, (from + 1) * columns), row * n + column);
  });
}

function isZero({ n, vectors }: Work, row: number, from: number, to: number): boolean {
  for (let k = row * n + from; k < row * n + to; k += 1) if (vectors[k] !== 0) return false;
  return true;
}

function takeColumns(values: Float64Array, rows: number, columns: readonly number[]): Float64Array {
  if (columns.length === rows) return values;
  const taken = new Float64Array(rows * columns.length);
  for (let row = 0, to = 0; row < rows; row += 1) {
    for (const column of columns) taken[to++] = values[row * rows + column]!;
  }
  return taken;
}
