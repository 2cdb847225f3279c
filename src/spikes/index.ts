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
  SPIKE_POLICY,
  type SpikeDecision,
  type SpikePolicy,
  type SpikePolicySettings,
  type SpikePolicyState,
  spikePolicy,
} from './policy.js';
export {
  DETECTORS,
  type DetectorName,
  type Observed,
  SEVERITIES,
  type SpikeDetector,
  type SpikeReading,
  type SpikeSeverity,
  type TrainingStep,
  type Vote,
} from './reading.js';
export { SPIKE_SETTINGS, type SpikeSettings } from './settings.js';
export { spikeDetector } from './spike-detector.js';
export type { SpikeState } from './state.js';
