import type { ClusterDistances } from './distances.js';

export interface ClusterEdge {
  /** The smaller number of the two. */
  readonly from: number;
  readonly to: number;
  /** Between the centroids, in units of the features. */
  readonly distance: number;
}

/** Which clusters lie next to which. */
export interface ClusterTopology {
  /** The k − 1 edges of least length that connect all clusters, the shortest first. */
  readonly tree: readonly ClusterEdge[];
  /** The cluster nearest to each; −1 with one cluster. Of several as near, the first. */
  readonly nearest: Int32Array;
}

/** Returns the minimum spanning tree of the centroids (Prim 1957) and the nearest cluster of each. */
export function topologyOf({ k, centroids }: ClusterDistances): ClusterTopology {
  const nearest = Int32Array.from({ length: k }, (_, i) =>
    closest(k, (j) => (j === i ? Infinity : centroids[i * k + j]!)),
  );
  const tree: ClusterEdge[] = [];
  // Of each cluster that is not in the tree, the cluster in the tree that it is nearest to.
  const links = new Int32Array(k);
  const outside = new Set(Array.from({ length: k }, (_, i) => i).slice(1));
  while (outside.size > 0) {
    const next = closest(k, (j) => (outside.has(j) ? centroids[links[j]! * k + j]! : Infinity));
    const link = links[next]!;
    tree.push({ from: Math.min(link, next), to: Math.max(link, next), distance: centroids[link * k + next]! });
    outside.delete(next);
    for (const j of outside) if (centroids[next * k + j]! < centroids[links[j]! * k + j]!) links[j] = next;
  }
  return { tree: tree.sort((a, b) => a.distance - b.distance || a.from - b.from || a.to - b.to), nearest };
}

/** The first of 0 … k − 1 with the least finite distance; −1 where none is finite. */
function closest(k: number, distance: (j: number) => number): number {
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let j = 0; j < k; j += 1) {
    const value = distance(j);
    if (value < least) [best, least] = [j, value];
  }
  return best;
}
