import type { Allocation, AllocationRequest } from './allocation.js';
import { type BudgetMatrix, budgetOf, type Counts, fitBudget } from './budget.js';

/**
 * Steps up and down from the target at which errors are measured: a matrix's sparsity stays within two of them. Twice as far was worse
 * on stories260k and tinystories-656k at 70 %: errors of matrices that lost nearly everything do not add up.
 */
const STEP = 0.05;

const error: Allocation = { kind: 'measured', allocate: byError };

export default error;

/**
 * Each matrix loses what its measured output error allows. An error counts in its own block and in every block that it is carried
 * through after that. The sum of these is made as small as the budget allows by water-filling: weights go where the next ones cost
 * least, until the budget is spent. Errors are measured at a few sparsities around the target and joined by the lower convex hull,
 * so that marginal errors rise.
 */
export async function byError({ matrices, target, probe }: AllocationRequest): Promise<Counts> {
  const levels = levelsAround(target);
  const measured = await probe.errorCurves(levels);
  const blocks = 1 + Math.max(...matrices.map(({ block }) => block));
  const curves = new Map(
    matrices.map(({ name, block }) => [name, measured.get(name)!.map((relative) => relative * (blocks - block))]),
  );
  const budget = budgetOf(matrices, target);
  const shares = waterFill(matrices, { levels, curves }, budget);
  return fitBudget(matrices, ({ name }) => shares.get(name)!, budget);
}

/** Two steps below the target to two above, within what can be removed. */
export function levelsAround(target: number): number[] {
  const levels = [-2, -1, 0, 1, 2].map((steps) => Math.min(0.99, Math.max(0, target + steps * STEP)));
  return [...new Set(levels)];
}

interface Segment {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly elements: number;
  /** Error for each weight of the segment. */
  readonly cost: number;
}

/** The sparsity of each matrix: segments of all curves in the order of their cost, the last one in part. */
export function waterFill(
  matrices: readonly BudgetMatrix[],
  { levels, curves }: { readonly levels: readonly number[]; readonly curves: ReadonlyMap<string, readonly number[]> },
  budget: number,
): Map<string, number> {
  const shares = new Map(matrices.map(({ name }) => [name, levels[0]!]));
  const segments = matrices
    .flatMap((matrix) => segmentsOf(matrix, levels, curves.get(matrix.name)!))
    .sort((a, b) => a.cost - b.cost);
  let left = budget - matrices.reduce((sum, { elements }) => sum + elements * levels[0]!, 0);
  for (const { name, from, to, elements } of segments) {
    if (left <= 0) break;
    const weights = Math.min(left, (to - from) * elements);
    shares.set(name, from + weights / elements);
    left -= weights;
  }
  return shares;
}

/** The curve's lower convex hull, piece by piece; costs rise along it. */
function segmentsOf({ name, elements }: BudgetMatrix, levels: readonly number[], errors: readonly number[]): Segment[] {
  const hull: number[] = [];
  const slope = (a: number, b: number) => (errors[b]! - errors[a]!) / (levels[b]! - levels[a]!);
  for (let point = 0; point < levels.length; point += 1) {
    while (hull.length > 1 && slope(hull.at(-2)!, hull.at(-1)!) >= slope(hull.at(-1)!, point)) hull.pop();
    hull.push(point);
  }
  return hull.slice(1).map((to, i) => ({
    name,
    from: levels[hull[i]!]!,
    to: levels[to]!,
    elements,
    cost: slope(hull[i]!, to) / elements,
  }));
}
