import type { Random } from '../random.js';
import { contingencyOf, margins } from './contingency.js';

/** Returns `count` numbers below `count`, drawn with replacement, ascending. */
export function resample(count: number, random: Random): Int32Array {
  return Int32Array.from({ length: count }, () => random.below(count)).sort();
}

/** The clusters of the points that a resample has, each point once: in the clustering of all points, and in that of the resample. */
export function onePerPoint(
  drawn: Int32Array,
  all: Int32Array,
  resampled: Int32Array,
): { first: Int32Array; second: Int32Array } {
  const firsts = Int32Array.from(drawn.keys()).filter((at) => at === 0 || drawn[at] !== drawn[at - 1]);
  return { first: firsts.map((at) => all[drawn[at]!]!), second: firsts.map((at) => resampled[at]!) };
}

/** Returns of each cluster of `first`, by number, the largest |both| / |either| with a cluster of `second`. */
export function bestJaccard(first: Int32Array, second: Int32Array): Map<number, number> {
  const table = contingencyOf(first, second);
  const sizes = margins(table);
  const best = new Map<number, number>();
  for (const [row, group] of table.before.entries()) {
    if (group < 0) continue;
    let most = 0;
    for (const [column, other] of table.after.entries()) {
      const both = table.counts[row * table.after.length + column]!;
      if (other >= 0) most = Math.max(most, both / (sizes.before[row]! + sizes.after[column]! - both));
    }
    best.set(group, most);
  }
  return best;
}
