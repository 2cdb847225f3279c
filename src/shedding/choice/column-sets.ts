import type { Gram, Weight } from '../../solvers/index.js';
import { inverseUpperFactor, leastSquaresFold } from '../../solvers/index.js';
import type { SolverWork } from './solver-work.js';

/**
 * How what a removed input carried is made up for: by least squares in the inputs that stay, by a bias of what it carried on average,
 * or not at all.
 */
export type Compensation = 'ls' | 'flap' | 'none';

/** A linear, what its inputs are like, and sets of its columns that can only go together. */
export interface ColumnSets {
  readonly weight: Weight;
  readonly gram: Gram;
  /** Column numbers of each set; sets do not overlap. Columns in no set stay. */
  readonly sets: readonly Int32Array[];
}

/** A set that goes, and what its going costs. */
export interface Removal {
  /** Index into the sets. */
  readonly set: number;
  /** ‖ΔW X‖² over the calibration tokens, with what went before already gone. */
  readonly error: number;
}

/**
 * Which `count` sets of columns to remove so that the linear's outputs change little, in the order in which they go. With
 * compensation the error of a set S is tr(W_S [(G⁻¹)_SS]⁻¹ W_Sᵀ), what is left when the other inputs make up for it as well as they
 * can (Hassibi & Stork 1993 for one weight, Kurtic et al. 2023 for sets of columns); without, tr(W_S G_SS W_Sᵀ), where a bias makes
 * up for the mean with the Gram matrix of the inputs about their means (`centred`). Errors are found anew after each of `rounds` shares of the way, since inputs that make up for each other must not both go.
 */
export async function removalOrder(
  { weight, gram, sets }: ColumnSets,
  {
    count,
    rounds,
    compensation,
  }: { readonly count: number; readonly rounds: number; readonly compensation: Compensation },
  work: SolverWork,
): Promise<Removal[]> {
  const removals: Removal[] = [];
  const left = new Set(sets.keys());
  // Without the other inputs' help an error does not depend on what else is there: one round says it all.
  const turns = compensation !== 'ls' ? 1 : Math.max(1, Math.min(rounds, count));
  for (let turn = 1; turn <= turns; turn += 1) {
    const upTo = Math.round((count * turn) / turns);
    const now = await withoutColumns(
      weight,
      gram,
      removals.map(({ set }) => sets[set]!),
      work,
    );
    const errors = await setErrors(now, sets, { left, compensation }, work);
    const cheapest = [...left].sort((a, b) => errors.get(a)! - errors.get(b)! || a - b);
    for (const set of cheapest.slice(0, upTo - removals.length)) {
      removals.push({ set, error: errors.get(set)! });
      left.delete(set);
    }
  }
  return removals;
}

interface Present {
  readonly weight: Weight;
  readonly gram: Gram;
}

/** The linear as it is when some of its columns have gone, at its full size. */
async function withoutColumns(
  weight: Weight,
  gram: Gram,
  gone: readonly Int32Array[],
  work: SolverWork,
): Promise<Present> {
  if (gone.length === 0) return { weight, gram };
  const kept = keptColumns(weight.columns, gone);
  const folded = await leastSquaresFold(weight, gram, kept, work);
  return {
    weight: { ...weight, values: atFullWidth(folded, weight, kept) },
    gram: { columns: gram.columns, values: withoutInputs(gram, gone) },
  };
}

/** The columns that are in none of the sets, ascending. */
export function keptColumns(columns: number, gone: readonly Int32Array[]): Int32Array {
  const isGone = new Uint8Array(columns);
  for (const set of gone) for (const column of set) isGone[column] = 1;
  return Int32Array.from({ length: columns }, (_, column) => column).filter((column) => isGone[column] === 0);
}

/** Columns `kept` in their places, zeros in the others. */
export function atFullWidth(values: Float32Array, { rows, columns }: Weight, kept: Int32Array): Float32Array {
  const full = new Float32Array(rows * columns);
  let next = 0;
  for (let row = 0; row < rows; row += 1) for (const column of kept) full[row * columns + column] = values[next++]!;
  return full;
}

function withoutInputs({ values, columns }: Gram, gone: readonly Int32Array[]): Float32Array {
  const left = values.slice();
  for (const set of gone) {
    for (const column of set) {
      left.fill(0, column * columns, (column + 1) * columns);
      for (let row = 0; row < columns; row += 1) left[row * columns + column] = 0;
    }
  }
  return left;
}

async function setErrors(
  { weight, gram }: Present,
  sets: readonly Int32Array[],
  { left, compensation }: { readonly left: ReadonlySet<number>; readonly compensation: Compensation },
  work: SolverWork,
): Promise<Map<number, number>> {
  const errors = new Map<number, number>();
  if (compensation !== 'ls') {
    for (const set of left)
      errors.set(
        set,
        energy(weight, sets[set]!, (i, j) => gram.values[i * gram.columns + j]!),
      );
    return errors;
  }
  const factor = await inverseUpperFactor(gram, work);
  const size = factor.size;
  // (G⁻¹)_ij = Σ_r U_ri U_rj, and U is upper triangular.
  const inverse = (i: number, j: number) => {
    let sum = 0;
    for (let row = Math.min(i, j); row >= 0; row -= 1)
      sum += factor.values[row * size + i]! * factor.values[row * size + j]!;
    return sum;
  };
  for (const set of left) errors.set(set, compensatedEnergy(weight, sets[set]!, inverse));
  return errors;
}

type Entry = (i: number, j: number) => number;

/** tr(W_S M W_Sᵀ). */
function energy({ values, rows, columns }: Weight, set: Int32Array, entry: Entry): number {
  let total = 0;
  const matrix = blockOf(set, entry);
  for (let row = 0; row < rows; row += 1) {
    for (let i = 0; i < set.length; i += 1) {
      let sum = 0;
      for (let j = 0; j < set.length; j += 1) sum += matrix[i * set.length + j]! * values[row * columns + set[j]!]!;
      total += sum * values[row * columns + set[i]!]!;
    }
  }
  return total;
}

/** tr(W_S M⁻¹ W_Sᵀ) = Σ ‖L⁻¹ wᵀ‖² over the rows w of W_S, where M = L Lᵀ. */
function compensatedEnergy({ values, rows, columns }: Weight, set: Int32Array, entry: Entry): number {
  const size = set.length;
  const lower = factorLower(blockOf(set, entry), size);
  const solved = new Float64Array(size);
  let total = 0;
  for (let row = 0; row < rows; row += 1) {
    for (let i = 0; i < size; i += 1) {
      let sum = values[row * columns + set[i]!]!;
      for (let j = 0; j < i; j += 1) sum -= lower[i * size + j]! * solved[j]!;
      solved[i] = sum / lower[i * size + i]!;
      total += solved[i]! ** 2;
    }
  }
  return total;
}

function blockOf(set: Int32Array, entry: Entry): Float64Array {
  const block = new Float64Array(set.length * set.length);
  set.forEach((column, i) => {
    for (let j = 0; j <= i; j += 1) {
      block[i * set.length + j] = entry(column, set[j]!);
      block[j * set.length + i] = block[i * set.length + j]!;
    }
  });
  return block;
}

/** The Cholesky factor of a block of the inverse, which is positive definite as the damped matrix is. In place. */
function factorLower(block: Float64Array, size: number): Float64Array {
  for (let i = 0; i < size; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let sum = block[i * size + j]!;
      for (let k = 0; k < j; k += 1) sum -= block[i * size + k]! * block[j * size + k]!;
      block[i * size + j] = i === j ? Math.sqrt(sum) : sum / block[j * size + j]!;
    }
  }
  return block;
}
