export {
  CHARTS,
  type ChartPoint,
  type ChartSettings,
  cusum,
  ewma,
  type Observation,
  selfStarting,
  sharedBy,
  upperTail,
} from './control-charts.js';
export {
  type SpikeDecision,
  type SpikePolicy,
  type SpikePolicySettings,
  type SpikePolicyState,
  spikePolicy,
} from './policy.js';
export type {
  DetectorName,
  Observed,
  SpikeDetector,
  SpikeReading,
  SpikeSeverity,
  TrainingStep,
  Vote,
} from './reading.js';
export { SPIKE_SETTINGS, type SpikeSettings } from './settings.js';
export { spikeDetector } from './spike-detector.js';
export type { SpikeState } from './state.js';
