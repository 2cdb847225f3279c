import { registryOf } from '../registry.js';
import type { ClusteringMethod } from './clustering.js';

/** `--method`: how neurons are divided into clusters. */
export const clusterings = registryOf<ClusteringMethod>()('clustering', {
  kmeans: () => import('./kmeans.js'),
  minibatch: () => import('./minibatch.js'),
  dbscan: () => import('./dbscan.js'),
  hierarchical: () => import('./hierarchical.js'),
});
