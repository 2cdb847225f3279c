export { type ChooseOptions, type ClusterChoice, type ClusterTrial, type Criterion, chooseClusters } from './choose.js';
export { cluster } from './cluster.js';
export {
  type Clustering,
  type ClusteringMethod,
  type ClusteringSettings,
  type Linkage,
  type MethodSettings,
  NOISE,
  type Quality,
} from './clustering.js';
export { type ClusterComparison, compareClusterings } from './compare.js';
export type { Contingency } from './contingency.js';
export { type ClusterDistances, clusterDistances } from './distances.js';
export type { Features } from './features.js';
export { type Lineages, lineagesOf } from './lineages.js';
export { clusterings } from './methods.js';
export { type Portrait, type PortraitOptions, portraitsOf } from './portraits.js';
export { type ReduceOptions, type Reduction, reduce } from './reduce.js';
export { checkSettings } from './settings.js';
export { type Agreement, type Stability, type StabilityOptions, stability } from './stability.js';
export { standardize } from './standardize.js';
export { type Tendency, type TendencyOptions, tendency } from './tendency.js';
export { type ClusterEdge, type ClusterTopology, topologyOf } from './topology.js';
export { type ClusterEvent, type TrackOptions, track } from './track.js';
