import type { Dendrogram } from './dendrogram.js';

/** Returns the clusters of a hierarchy after its first `leaves − k` merges: k clusters. */
export function cutInto(tree: Dendrogram, k: number): Int32Array {
  return below(tree, (merge) => merge >= tree.leaves - k);
}

/** Returns the clusters whose nodes were joined at this height or below it. */
export function cutAtHeight(tree: Dendrogram, height: number): Int32Array {
  return below(tree, (merge) => tree.heights[merge]! > height);
}

/** Returns the clusters `depth` levels below the root; points that hang higher are clusters of their own. */
export function cutAtDepth(tree: Dendrogram, depth: number): Int32Array {
  const levels = new Int32Array(tree.leaves - 1);
  for (let merge = levels.length - 1; merge >= 0; merge -= 1) {
    for (const child of [tree.merges[2 * merge]!, tree.merges[2 * merge + 1]!]) {
      if (child >= tree.leaves) levels[child - tree.leaves] = levels[merge]! + 1;
    }
  }
  return below(tree, (merge) => levels[merge]! < depth);
}

/** Walks down from the root through the merges that are cut; what is below others is one cluster each. */
function below({ leaves, merges }: Dendrogram, isCut: (merge: number) => boolean): Int32Array {
  const clusters = new Int32Array(leaves);
  // A merge's cluster: its own, or that of the merge above it when that one is kept whole.
  const owner = Int32Array.from({ length: leaves - 1 }, (_, merge) => leaves + merge);
  for (let merge = leaves - 2; merge >= 0; merge -= 1) {
    const isWhole = !isCut(merge);
    for (const child of [merges[2 * merge]!, merges[2 * merge + 1]!]) {
      const cluster = isWhole ? owner[merge]! : child;
      if (child < leaves) clusters[child] = cluster;
      else owner[child - leaves] = cluster;
    }
  }
  return clusters;
}
