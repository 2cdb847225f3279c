import type { ColumnSets, Compensation, Removal } from '../shedding/index.js';
import type { EditContext } from './edit.js';
import { removalsOf } from './removal-rounds.js';

/**
 * Every set of a linear's columns but the last in the order in which they would go: the first `count` as they go together, the others
 * by what each would cost by itself.
 */
export async function wholeOrder(
  sets: ColumnSets,
  { count, compensation }: { readonly count: number; readonly compensation: Compensation },
  context: Pick<EditContext, 'device' | 'report'> & { readonly name: string },
): Promise<Removal[]> {
  const first = await removalsOf(sets, { count, compensation }, context);
  const gone = new Set(first.map(({ set }) => set));
  const left = [...sets.sets.keys()].filter((set) => !gone.has(set));
  // One after the other by themselves: more rounds would cost as much as the first part again, for what seldom goes.
  const apart = { ...sets, sets: left.map((set) => sets.sets[set]!) };
  const rest = await removalsOf(apart, { count: Math.max(0, left.length - 1), compensation, rounds: 1 }, context);
  return [...first, ...rest.map(({ set, error }) => ({ set: left[set]!, error }))];
}

/** How many channels of each cluster of a network are to be gone, those that are already included. */
export interface ChannelQuota {
  /** [channels]: the cluster of each. */
  readonly assignments: Int32Array;
  readonly counts: readonly number[];
}

/**
 * The channels of an order that go, in that order: of each cluster the first that its quota still asks for, and where a cluster has
 * not as many, the first others, `count` in all.
 */
export function chosenByQuota(
  order: readonly number[],
  { assignments, counts }: ChannelQuota,
  { gone, count }: { readonly gone: readonly number[]; readonly count: number },
): number[] {
  const left = [...counts];
  for (const channel of gone) left[assignments[channel]!]! -= 1;
  const chosen = new Set<number>();
  for (const channel of order) {
    if (chosen.size === count) break;
    const cluster = assignments[channel]!;
    if (left[cluster]! <= 0) continue;
    left[cluster]! -= 1;
    chosen.add(channel);
  }
  for (const channel of order) if (chosen.size < count) chosen.add(channel);
  return order.filter((channel) => chosen.has(channel));
}
