export type { ClusterRows, MatrixRowClusters, RowClusterFigures } from './row-clusters.js';
export {
  type ClusteringContext,
  type ClusterSettings,
  DESCRIPTIONS,
  type Description,
  NEURON_KINDS,
  type NeuronKind,
} from './settings.js';
