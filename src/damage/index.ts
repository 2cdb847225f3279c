export { assessDamage, type DamageOptions } from './assess.js';
export { healingQueue } from './healing-queue.js';
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
