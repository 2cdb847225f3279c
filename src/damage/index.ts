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
