import { type ColumnSets, type Compensation, type Removal, removalOrder } from '../shedding/index.js';
import type { EditContext } from './edit.js';

/** How many times errors are found anew on the way, while that is cheap. */
const ROUNDS = 8;
/** From this width on a round takes minutes, and what one round overlooks is a smaller part of the whole. */
const MOST_COLUMNS_IN_ROUNDS = 2048;

/** `removalOrder` in as many rounds as the width allows, or as are asked for. */
export function removalsOf(
  sets: ColumnSets,
  {
    count,
    compensation,
    rounds = sets.weight.columns <= MOST_COLUMNS_IN_ROUNDS ? ROUNDS : 1,
  }: { readonly count: number; readonly compensation: Compensation; readonly rounds?: number },
  context: Pick<EditContext, 'device' | 'report'> & { readonly name: string },
): Promise<Removal[]> {
  return removalOrder(sets, { count, rounds, compensation }, workOf(context, context.name));
}

/** What solvers are given to work with. */
export function workOf({ device, report }: Pick<EditContext, 'device' | 'report'>, name: string) {
  return { device, report, name };
}
