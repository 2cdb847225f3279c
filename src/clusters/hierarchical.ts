import type { ClusteringMethod } from './clustering.js';
import { cutAtDepth, cutAtHeight, cutInto } from './cut.js';
import { dendrogramOf } from './dendrogram.js';

/** Agglomerative clustering: the tree is made once and cut at a number of clusters, a height or a depth. */
const hierarchical: ClusteringMethod = {
  takes: ['k', 'linkage', 'depth', 'height'],
  isNumbered: true,
  limit: { points: 8192, because: 'the distances between them take 268 MB, and four times that for twice as many' },
  prepare(points, { linkage = 'ward', depth, height }, unit) {
    const tree = dendrogramOf(points, linkage);
    return (k) => {
      if (depth !== undefined) return { assignments: cutAtDepth(tree, depth) };
      if (height !== undefined) return { assignments: cutAtHeight(tree, height / unit) };
      return { assignments: cutInto(tree, k) };
    };
  },
};

export default hierarchical;
