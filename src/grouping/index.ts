export type { ClusterHeader } from './cluster-file.js';
export type { PopulationComparison } from './compare.js';
export { type GroupResult, groupNeurons } from './group.js';
export type { GroupOptions } from './options.js';
export { type EarlierClusters, readClusters } from './read-clusters.js';
export type { ClusterRecord, PopulationRecord } from './record.js';
export type { PopulationHistory } from './wave-history.js';
