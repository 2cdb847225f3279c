/** Σ x xᵀ over tokens, symmetric [columns, columns] row-major. */
export interface Gram {
  readonly values: Float32Array;
  readonly columns: number;
}

/** What a group of columns adds to those before it, and where it stands in the order. */
export interface Redundancy {
  /**
   * Part of the group's energy that no linear combination of the groups before it in the order gives: 1 for one of its own, 0
   * for a silent one, a duplicate and a combination.
   */
  readonly residuals: Float64Array;
  /** Groups from the most independent on: with the first m kept, what is best folded into them are the others. */
  readonly order: Int32Array;
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
    for (let k = 0; k < groupSize; k += 1) eliminate(work, group * groupSize + k, { left, columns, groupSize });
  }
  return { residuals, order };
}

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
