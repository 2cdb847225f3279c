export { assessDamage, type DamageOptions } from './assess.js';
export { healingQueue } from './healing-queue.js';
export { type MeasuredWave, type PredictedFigure, predictWave, type WavePrediction } from './predict-wave.js';
export {
  type DamageObservation,
  type PredictedError,
  type PredictionPrior,
  predictError,
} from './prediction.js';
export { SEVERITY_LIMITS, severityOf } from './severity.js';
export {
  type BlockDamage,
  type ClusterDamage,
  DAMAGE_SEVERITIES,
  type Damage,
  type DamageSeverity,
  type Drift,
  type HealingTask,
  type MatrixDamage,
} from './types.js';
