export type { Counts } from '../allocation/index.js';
export { bounded, type SparsityBounds, type ThresholdBounds } from './bounds.js';
export { figureStart } from './figure-start.js';
export { fitted } from './fitness.js';
export {
  measurementTokens,
  type NamedStart,
  optimiseThresholds,
  type ThresholdRequest,
  type ThresholdResult,
} from './optimise.js';
export { reasonsOf, type ThresholdReason } from './reasons.js';
export { rowCounts } from './row-counts.js';
export { DEFAULT_SEARCH, type ThresholdSearch } from './search-settings.js';
export {
  type Budgets,
  type ClusterFigures,
  clusterName,
  ERROR_LEVELS,
  type ThresholdCluster,
} from './threshold-cluster.js';
export type { ThresholdTrial, TrialText } from './threshold-trial.js';
