/** D + ρ z zᵀ: d ascending and apart, no z of 0, z of length 1, ρ > 0. What is left of a merge when all else is deflated. */
export interface RankOne {
  readonly d: Float64Array;
  readonly z: Float64Array;
  readonly rho: number;
}

/** An eigenvalue as its distance from the nearest d, which it is known from to the last digit. */
interface Root {
  readonly origin: number;
  readonly offset: number;
}

/** Each step about doubles the digits; bisection, where steps leave the bracket, needs no more than this either. */
const MOST_STEPS = 120;

/**
 * Eigenvalues λ of D + ρ z zᵀ, ascending, and its eigenvectors as rows of [k, k]: the roots of 1 / ρ + Σ zⱼ² / (dⱼ − λ), one behind
 * each d. Eigenvectors are those of the nearby matrix whose eigenvalues these are exactly, which makes them orthogonal to the last
 * digit (Gu & Eisenstat 1994). Throws RangeError when a root is not found.
 */
export function solveRankOne({ d, z, rho }: RankOne): { values: Float64Array; vectors: Float64Array } {
  const k = d.length;
  const values = new Float64Array(k);
  const apart = new Float64Array(k * k);
  const squares = z.map((value) => value * value);
  for (let i = 0; i < k; i += 1) {
    const { origin, offset } = rootBehind({ d, squares, inverseRho: 1 / rho }, i);
    values[i] = d[origin]! + offset;
    for (let j = 0, at = i * k; j < k; j += 1, at += 1) apart[at] = d[j]! - d[origin]! - offset;
  }
  return { values, vectors: vectorsOf(apart, d, z) };
}

interface Secular {
  readonly d: Float64Array;
  readonly squares: Float64Array;
  readonly inverseRho: number;
}

/**
 * The root between d_i and d_{i+1} (behind the last d: within ρ of it). Both sums of poles are interpolated by one pole each, at the
 * two ends of the gap (Bunch, Nielsen & Sorensen 1978), and every step stays within a bracket.
 */
function rootBehind(secular: Secular, i: number): Root {
  const { d, inverseRho } = secular;
  const isLast = i === d.length - 1;
  const gap = isLast ? 1 / inverseRho : d[i + 1]! - d[i]!;
  const left = isLast || valueAt(secular, i, { origin: i, offset: gap / 2 }).sum >= 0;
  const origin = left ? i : i + 1;
  let [low, high] = left ? [0, isLast ? gap : gap / 2] : [-gap / 2, 0];
  let offset = (low + high) / 2;
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const at = valueAt(secular, i, { origin, offset });
    if (Math.abs(at.sum) <= Number.EPSILON * at.size) return { origin, offset };
    if (at.sum < 0) low = offset;
    else high = offset;
    if (high - low <= Number.EPSILON * Math.max(Math.abs(low), Math.abs(high))) return { origin, offset };
    const next = offset + (isLast ? stepBehindLast(at, inverseRho) : stepBetween(at, inverseRho));
    offset = next > low && next < high ? next : halved(low, high);
  }
  throw new RangeError(`eigenvalue ${i} of ${d.length} is not found between its bounds`);
}

interface SecularValue {
  /** 1 / ρ + Σ zⱼ² / (dⱼ − λ). */
  readonly sum: number;
  /** How much its rounding may amount to, in parts of the precision. */
  readonly size: number;
  /** The sum over the poles up to i, the one over those behind, and their derivatives. */
  readonly before: number;
  readonly behind: number;
  readonly slopeBefore: number;
  readonly slopeBehind: number;
  /** d_i − λ and d_{i+1} − λ. */
  readonly toLeft: number;
  readonly toRight: number;
}

function valueAt({ d, squares, inverseRho }: Secular, i: number, { origin, offset }: Root): SecularValue {
  let [before, behind, slopeBefore, slopeBehind] = [0, 0, 0, 0];
  const from = d[origin]!;
  for (let j = 0; j <= i; j += 1) {
    const away = d[j]! - from - offset;
    const term = squares[j]! / away;
    before += term;
    slopeBefore += term / away;
  }
  for (let j = d.length - 1; j > i; j -= 1) {
    const away = d[j]! - from - offset;
    const term = squares[j]! / away;
    behind += term;
    slopeBehind += term / away;
  }
  const sum = inverseRho + before + behind;
  const size = inverseRho + 8 * (behind - before) + Math.abs(offset) * (slopeBefore + slopeBehind);
  const [toLeft, toRight] = [d[i]! - from - offset, (d[i + 1] ?? Number.NaN) - from - offset];
  return { sum, size, before, behind, slopeBefore, slopeBehind, toLeft, toRight };
}

/** To the root of c + s / (left − η) + t / (right − η), which agrees with value and slope of both sums. */
function stepBetween(at: SecularValue, inverseRho: number): number {
  const { toLeft, toRight, before, behind, slopeBefore, slopeBehind, sum } = at;
  const c = inverseRho + before - slopeBefore * toLeft + behind - slopeBehind * toRight;
  const a = c * (toLeft + toRight) + slopeBefore * toLeft ** 2 + slopeBehind * toRight ** 2;
  const b = toLeft * toRight * sum;
  const root = Math.sqrt(Math.max(0, a * a - 4 * b * c));
  return a <= 0 ? (a - root) / (2 * c) : (2 * b) / (a + root);
}

function stepBehindLast({ toLeft, before, slopeBefore }: SecularValue, inverseRho: number): number {
  const c = inverseRho + before - slopeBefore * toLeft;
  return toLeft + (slopeBefore * toLeft ** 2) / c;
}

/** Halves a bracket by size where it ends far from 0 on one side only, as roots may be close to their pole. */
function halved(low: number, high: number): number {
  if (low === 0) return high / 16;
  if (high === 0) return low / 16;
  return (low + high) / 2;
}

/** `apart`[i, j] = dⱼ − λᵢ becomes the matrix of unit eigenvectors ẑⱼ / (dⱼ − λᵢ). */
function vectorsOf(apart: Float64Array, d: Float64Array, z: Float64Array): Float64Array {
  const k = d.length;
  const squares = new Float64Array(k).fill(1);
  for (let i = 0; i < k; i += 1) {
    for (let j = 0, at = i * k; j < k; j += 1, at += 1) {
      squares[j]! *= i === j ? -apart[at]! : apart[at]! / (d[j]! - d[i]!);
    }
  }
  const near = squares.map((square, j) => Math.sign(z[j]!) * Math.sqrt(Math.max(0, square)));
  for (let row = 0; row < k * k; row += k) {
    let length = 0;
    for (let j = 0; j < k; j += 1) {
      apart[row + j] = near[j]! / apart[row + j]!;
      length += apart[row + j]! ** 2;
    }
    const scale = 1 / Math.sqrt(length);
    for (let j = 0; j < k; j += 1) apart[row + j]! *= scale;
  }
  return apart;
}
