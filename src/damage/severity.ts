import { DAMAGE_SEVERITIES, type DamageSeverity } from './types.js';

/**
 * Errors at the model's output, as parts of it, from which on damage is slight, moderate, severe, critical. docs/damage.md has the
 * measurements that they come from: the perplexity of models with such errors is so much higher.
 */
export const SEVERITY_LIMITS: readonly number[] = [0.01, 0.05, 0.15, 0.4];

/** The class of damage that makes this error at the model's output. */
export function severityOf(atOutput: number): DamageSeverity {
  const passed = SEVERITY_LIMITS.filter((limit) => atOutput >= limit).length;
  return DAMAGE_SEVERITIES[passed]!;
}
