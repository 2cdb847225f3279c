export { assessDamage, type DamageOptions } from './assess.js';
export { healingQueue } from './healing-queue.js';
export { type MeasuredWave, type PredictedFigure, predictWave, type WavePrediction } from './predict-wave.js';
export {
  type DamageObservation,
  type PredictedError,
  type PredictionPrior,
  predictError,
} from './prediction.js';
export { severityOf } from './severity.js';
export type {
  BlockDamage,
  ClusterDamage,
  Damage,
  DamageSeverity,
  Drift,
  HealingTask,
  MatrixDamage,
} from './types.js';
