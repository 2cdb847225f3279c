import { removedCount } from '../sparsity/index.js';

/** One matrix that shares the budget with the others. */
export interface BudgetMatrix {
  readonly name: string;
  /** The block it belongs to. */
  readonly block: number;
  readonly elements: number;
  /** Weights that are 0 already, and stay so: they count as removed. */
  readonly gone: number;
  /** The fewest and the most that may be gone, where somebody has said so; what is gone already wins over both. */
  readonly least?: number;
  readonly most?: number;
}

/** How many weights are to be gone of each matrix, by name. */
export type Counts = ReadonlyMap<string, number>;

/** No matrix loses more of its weights, unless the budget cannot be met otherwise: what has no weights says nothing. */
const MOST_REMOVED = 0.99;

/** Halvings that bring a shift between −1 and 1 below the spacing of doubles. */
const HALVINGS = 60;

/** How many weights of all matrices together a sparsity removes: ⌊Σ elements · sparsity⌋. */
export function budgetOf(matrices: readonly BudgetMatrix[], sparsity: number): number {
  return removedCount(
    matrices.reduce((sum, { elements }) => sum + elements, 0),
    sparsity,
  );
}

/**
 * Whole numbers of weights whose sum is exactly `budget`, as near as can be to the fraction `wanted` of each matrix: all
 * fractions are moved by the same amount, held between what is gone already and 0.99, and rounded by largest remainders (of
 * equals the first matrix). Where more than the budget is gone already, that is what is returned.
 */
export function fitBudget(
  matrices: readonly BudgetMatrix[],
  wanted: (matrix: BudgetMatrix) => number,
  budget: number,
): Counts {
  const bounds = boundsOf(matrices, budget);
  const shares = matrices.map(wanted);
  const countsAt = (shift: number) =>
    matrices.map(({ elements }, i) =>
      Math.min(bounds[i]!.most, Math.max(bounds[i]!.least, elements * (shares[i]! + shift))),
    );
  let [below, above] = [-1 - Math.max(...shares), 1 - Math.min(...shares)];
  for (let i = 0; i < HALVINGS; i += 1) {
    const middle = (below + above) / 2;
    if (sumOf(countsAt(middle)) < budget) below = middle;
    else above = middle;
  }
  const counts = rounded(countsAt(below), bounds, budget);
  return new Map(matrices.map(({ name }, i) => [name, counts[i]!]));
}

interface Bounds {
  readonly least: number;
  readonly most: number;
}

/** Bounds that somebody has set are kept even where the budget is tight: the caller has made sure that it can be met. */
function boundsOf(matrices: readonly BudgetMatrix[], budget: number): Bounds[] {
  const most = (matrix: BudgetMatrix, limit: number) => Math.max(matrix.gone, matrix.most ?? limit);
  const usual = (matrix: BudgetMatrix) => most(matrix, Math.floor(MOST_REMOVED * matrix.elements));
  const isTight = sumOf(matrices.map(usual)) < budget;
  return matrices.map((matrix) => ({
    least: Math.max(matrix.gone, matrix.least ?? 0),
    most: isTight ? most(matrix, matrix.elements) : usual(matrix),
  }));
}

/** Rounds down, and gives what is missing to those that lost most by it, as far as their bounds allow. */
function rounded(counts: readonly number[], bounds: readonly Bounds[], budget: number): number[] {
  const whole = counts.map(Math.floor);
  const byRemainder = counts
    .map((_, i) => i)
    .sort((a, b) => counts[b]! - whole[b]! - (counts[a]! - whole[a]!) || a - b);
  let missing = budget - sumOf(whole);
  while (missing > 0) {
    const before = missing;
    for (const i of byRemainder) {
      if (missing === 0 || whole[i]! >= bounds[i]!.most) continue;
      whole[i]! += 1;
      missing -= 1;
    }
    if (missing === before) throw new RangeError(`a budget of ${budget} weights, of which ${missing} are not there`);
  }
  return whole;
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
