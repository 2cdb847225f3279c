import { type Gram, leastSquaresFold, type Weight } from '../../solvers/index.js';
import { atFullWidth, keptColumns } from '../choice/column-sets.js';
import type { SolverWork } from '../choice/solver-work.js';

/**
 * The linear without some of its columns, at its full size with zeros there: what they carried is folded into the others as well as
 * the inputs' Gram matrix allows. Columns whose inputs are always 0 (shed before) stay 0.
 */
export async function foldColumns(
  { weight, gram }: { readonly weight: Weight; readonly gram: Gram },
  gone: readonly Int32Array[],
  work: SolverWork,
): Promise<Weight> {
  const kept = keptColumns(weight.columns, gone);
  return { ...weight, values: atFullWidth(await leastSquaresFold(weight, gram, kept, work), weight, kept) };
}
