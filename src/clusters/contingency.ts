import { BirdboneError } from '../errors.js';
import { NOISE } from './clustering.js';

/** How many points are in each cluster of one clustering and each of another. Noise is a group as the clusters are. */
export interface Contingency {
  /** Cluster numbers of the first clustering, ascending; −1 first where there is noise. */
  readonly before: Int32Array;
  readonly after: Int32Array;
  /** Points in both, [before.length, after.length]. */
  readonly counts: Int32Array;
  readonly points: number;
}

/** Most cells of a table: 4096 clusters on either side. */
const MOST_CELLS = 2 ** 24;

/** Returns the table of two assignments of the same points. Throws `usage` where their lengths differ or the table is too large. */
export function contingencyOf(before: Int32Array, after: Int32Array): Contingency {
  if (before.length !== after.length) {
    throw new BirdboneError(
      'usage',
      `One clustering has ${before.length} points, the other ${after.length}. Only clusterings of the same points can be compared.`,
    );
  }
  const [rows, columns] = [groupsOf(before), groupsOf(after)];
  if (rows.length * columns.length > MOST_CELLS) {
    throw new BirdboneError(
      'usage',
      `The clusterings have ${rows.length} and ${columns.length} clusters. They can be compared while the product is at most ${MOST_CELLS}.`,
    );
  }
  const rowOf = new Map([...rows].map((group, at) => [group, at]));
  const columnOf = new Map([...columns].map((group, at) => [group, at]));
  const counts = new Int32Array(rows.length * columns.length);
  for (let i = 0; i < before.length; i += 1) {
    counts[rowOf.get(Math.max(NOISE, before[i]!))! * columns.length + columnOf.get(Math.max(NOISE, after[i]!))!]! += 1;
  }
  return { before: rows, after: columns, counts, points: before.length };
}

function groupsOf(assignments: Int32Array): Int32Array {
  return Int32Array.from(new Set(assignments.map((group) => Math.max(NOISE, group)))).sort();
}

/** Points of each group, of the first clustering and of the second. */
export function margins({ before, after, counts }: Contingency): { before: Float64Array; after: Float64Array } {
  const sums = { before: new Float64Array(before.length), after: new Float64Array(after.length) };
  for (let cell = 0; cell < counts.length; cell += 1) {
    sums.before[Math.floor(cell / after.length)]! += counts[cell]!;
    sums.after[cell % after.length]! += counts[cell]!;
  }
  return sums;
}
