/** Σ x xᵀ over tokens, symmetric [columns, columns] row-major. */
export interface Gram {
  readonly values: Float32Array;
  readonly columns: number;
}

/** A group with a smaller residual is redundant: 95 % and more of its energy is in others. */
export const REDUNDANT = 0.05;
/** Redundant groups whose partners are looked for, and partners that are named. */
const MOST_EXPLAINED = 16;
const MOST_PARTNERS = 3;

/** What a group of columns adds to those before it, and where it stands in the order. */
export interface Redundancy {
  /**
   * Part of the group's energy that no linear combination of the groups before it in the order gives: 1 for one of its own, 0
   * for a silent one, a duplicate and a combination.
   */
  readonly residuals: Float64Array;
  /** Groups from the most independent on: with the first m kept, what is best folded into them are the others. */
  readonly order: Int32Array;
  /** For the groups with the smallest residuals below `REDUNDANT`: which groups they are combinations of, the largest part first. */
  readonly partners: ReadonlyMap<number, readonly number[]>;
}

/**
 * Finds which groups of `groupSize` consecutive columns (one channel; the columns of one KV group's heads) are linear combinations
 * of others, from the Gram matrix of those columns: pivoted Cholesky, the group with the largest relative residual next.
 * A residual is what remains of Σ x_j² after the best linear combination of the groups already taken, over Σ x_j²; residuals do not
 * rise along the order. The Gram matrix is float32, so residuals below about 1e-6 are zero as far as it can tell.
 *
 * Cost: columns³ / 2 multiplications in float64 and columns² × 8 bytes; the Gram matrix is left as it was.
 * Source: Higham 1990, "Analysis of the Cholesky decomposition of a semi-definite matrix", algorithm with complete pivoting.
 */
export function groupRedundancy({ values, columns }: Gram, groupSize = 1): Redundancy {
  if (columns % groupSize !== 0) throw new RangeError(`${columns} columns are not groups of ${groupSize}`);
  const groups = columns / groupSize;
  const work = scaledCopy(values, columns);
  const residuals = new Float64Array(groups);
  const order = new Int32Array(groups);
  const left = Array.from({ length: groups }, (_, group) => group);
  const pivots: number[] = [];
  let ceiling = 1;
  for (let step = 0; step < groups; step += 1) {
    const { at, residual } = largestResidual(work, left, columns, groupSize);
    const group = left[at]!;
    // Rounding may let a residual rise by its last bits; the order is one of what was there when it was made.
    ceiling = Math.min(ceiling, residual);
    order[step] = group;
    residuals[group] = ceiling;
    left.splice(at, 1);
    if (ceiling <= NOTHING) {
      for (const [i, rest] of left.entries()) order[step + 1 + i] = rest;
      break;
    }
    for (let k = 0; k < groupSize; k += 1) {
      const pivot = group * groupSize + k;
      if (work[pivot * columns + pivot]! > WEAK) pivots.push(pivot);
      eliminate(work, pivot, { left, columns, groupSize });
    }
  }
  const explained = [...order].filter((group) => residuals[group]! < REDUNDANT).slice(-MOST_EXPLAINED);
  const partners = explained.map((group) => {
    return [group, partnersOf(group, { work, columns, groupSize, pivots })] as const;
  });
  return { residuals, order, partners: new Map(partners) };
}

/** A column with less of its own is all but a combination: as a partner it would only amplify rounding. */
const WEAK = 1e-4;
/** Part of a column's energy that is rounding: float32 sums of products carry about 1e-7 each. */
const NOTHING = 1e-9;

interface Remaining {
  readonly left: readonly number[];
  readonly columns: number;
  readonly groupSize: number;
}

/** The matrix with each column scaled to energy 1 (silent ones to 0), so that diagonals are relative residuals. */
function scaledCopy(values: Float32Array, columns: number): Float64Array {
  const scales = new Float64Array(columns);
  for (let j = 0; j < columns; j += 1) {
    const energy = values[j * columns + j]!;
    if (!(energy >= 0 && energy < Number.POSITIVE_INFINITY)) {
      throw new RangeError(`column ${j} of the Gram matrix has an energy of ${energy}`);
    }
    scales[j] = energy > 0 ? 1 / Math.sqrt(energy) : 0;
  }
  const work = new Float64Array(columns * columns);
  for (let i = 0, at = 0; i < columns; i += 1) {
    for (let j = 0; j < columns; j += 1, at += 1) work[at] = values[at]! * scales[i]! * scales[j]!;
  }
  return work;
}

function largestResidual(work: Float64Array, left: readonly number[], columns: number, groupSize: number) {
  let at = 0;
  let residual = -1;
  for (const [i, group] of left.entries()) {
    let sum = 0;
    for (let j = group * groupSize; j < (group + 1) * groupSize; j += 1) sum += work[j * columns + j]!;
    if (sum / groupSize > residual) {
      at = i;
      residual = Math.max(0, sum / groupSize);
    }
  }
  return { at, residual };
}

/** Takes what column `pivot` explains from what is left, and from the rest of its own group. */
function eliminate(work: Float64Array, pivot: number, { left, columns, groupSize }: Remaining): void {
  const energy = work[pivot * columns + pivot]!;
  if (energy <= NOTHING) return;
  const row = work.subarray(pivot * columns, (pivot + 1) * columns);
  const own = Math.floor(pivot / groupSize);
  for (const group of [...left, own]) {
    for (let i = group * groupSize; i < (group + 1) * groupSize; i += 1) {
      if (group === own && i <= pivot) continue;
      const factor = row[i]! / energy;
      if (factor === 0) continue;
      const target = i * columns;
      for (let j = 0; j < columns; j += 1) work[target + j]! -= factor * row[j]!;
    }
  }
}

interface Eliminated {
  /** Rows of pivots are as they were when their turn came. */
  readonly work: Float64Array;
  readonly columns: number;
  readonly groupSize: number;
  /** Columns in the order of elimination. */
  readonly pivots: readonly number[];
}

/**
 * The groups that a group is combined from, by the sum of their squared coefficients (of columns scaled to energy 1), largest first.
 * Coefficients follow from the pivots' rows by substitution from the last one back.
 */
function partnersOf(group: number, { work, columns, groupSize, pivots }: Eliminated): number[] {
  const own = pivots.findIndex((pivot) => Math.floor(pivot / groupSize) === group);
  const before = own === -1 ? pivots : pivots.slice(0, own);
  const parts = new Map<number, number>();
  for (let j = group * groupSize; j < (group + 1) * groupSize; j += 1) {
    const coefficients = new Float64Array(before.length);
    for (let s = before.length - 1; s >= 0; s -= 1) {
      const row = before[s]! * columns;
      let rest = work[row + j]!;
      for (let t = s + 1; t < before.length; t += 1) rest -= work[row + before[t]!]! * coefficients[t]!;
      coefficients[s] = rest / work[row + before[s]!]!;
      const partner = Math.floor(before[s]! / groupSize);
      parts.set(partner, (parts.get(partner) ?? 0) + coefficients[s]! ** 2);
    }
  }
  const found = [...parts].filter(([, part]) => part > NOTHING).sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  return found.slice(0, MOST_PARTNERS).map(([partner]) => partner);
}
