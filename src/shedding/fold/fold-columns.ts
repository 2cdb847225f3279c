import { type Gram, leastSquaresFold, type Weight } from '../../solvers/index.js';
import { atFullWidth, type Compensation, keptColumns } from '../choice/column-sets.js';
import type { SolverWork } from '../choice/solver-work.js';

/**
 * The linear without some of its columns, at its full size with zeros there: with `ls` what they carried is folded into the others
 * as well as the inputs' Gram matrix allows, with `none` it is dropped. Columns whose inputs are always 0 (shed before) stay 0.
 */
export async function foldColumns(
  { weight, gram }: { readonly weight: Weight; readonly gram: Gram },
  gone: readonly Int32Array[],
  compensation: Compensation,
  work: SolverWork,
): Promise<Weight> {
  const kept = keptColumns(weight.columns, gone);
  if (compensation === 'none') {
    const values = weight.values.slice();
    for (const set of gone) {
      for (const column of set)
        for (let row = 0; row < weight.rows; row += 1) values[row * weight.columns + column] = 0;
    }
    return { ...weight, values };
  }
  return { ...weight, values: atFullWidth(await leastSquaresFold(weight, gram, kept, work), weight, kept) };
}
