import { type Contingency, contingencyOf, margins } from './contingency.js';

/** How much two clusterings of the same points agree. Names of clusters do not matter; noise counts as a group of its own. */
export interface ClusterComparison {
  /** 1: the same; 0: as much as chance gives; below 0: less than that (Hubert & Arabie 1985). */
  readonly adjustedRand: number;
  /** 0 to 1: mutual information over the mean of both entropies. Not corrected for chance: many small clusters raise it. */
  readonly normalizedMutualInformation: number;
  readonly contingency: Contingency;
}

/** Returns how much two assignments of the same points agree. Throws `usage` where their lengths differ. */
export function compareClusterings(before: Int32Array, after: Int32Array): ClusterComparison {
  const contingency = contingencyOf(before, after);
  return {
    adjustedRand: adjustedRand(contingency),
    normalizedMutualInformation: normalizedMutualInformation(contingency),
    contingency,
  };
}

/** Pairs of points that are together in both, against what chance gives for clusters of these sizes. */
function adjustedRand(contingency: Contingency): number {
  const sums = margins(contingency);
  const together = pairsIn(contingency.counts);
  const [first, second] = [pairsIn(sums.before), pairsIn(sums.after)];
  const all = pairsIn([contingency.points]);
  const most = (first + second) / 2;
  const expected = all === 0 ? 0 : (first / all) * second;
  // Both all in one cluster, or both each point in its own: the same.
  return most === expected ? 1 : (together - expected) / (most - expected);
}

function pairsIn(counts: Iterable<number>): number {
  let pairs = 0;
  for (const count of counts) pairs += (count * (count - 1)) / 2;
  return pairs;
}

function normalizedMutualInformation(contingency: Contingency): number {
  const { counts, after, points } = contingency;
  const sums = margins(contingency);
  const entropies = entropy(sums.before, points) + entropy(sums.after, points);
  // One cluster each: nothing to know, and both agree on it.
  if (entropies === 0) return 1;
  let information = 0;
  for (const [cell, count] of counts.entries()) {
    if (count === 0) continue;
    const [row, column] = [sums.before[Math.floor(cell / after.length)]!, sums.after[cell % after.length]!];
    information += (count / points) * Math.log((count * points) / (row * column));
  }
  return Math.min(1, Math.max(0, (2 * information) / entropies));
}

/** In nats. */
function entropy(sizes: Float64Array, points: number): number {
  return sizes.reduce((sum, size) => (size === 0 ? sum : sum - (size / points) * Math.log(size / points)), 0);
}
