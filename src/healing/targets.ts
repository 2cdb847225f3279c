import type { DamageSeverity } from '../damage/index.js';
import type { Model } from '../model/index.js';
import { healableLinears } from './healed-view.js';

/**
 * How fast a matrix learns by how much of the output's error comes from it: what is hardly hurt has little to learn and most to lose.
 * docs/healing.md has what they were chosen by.
 */
export const INTENSITY: Readonly<Record<DamageSeverity, number>> = {
  none: 0,
  slight: 0.5,
  moderate: 1,
  severe: 1,
  critical: 1,
};

/** The same for every linear that may be healed. */
export function everywhere(model: Model): ReadonlyMap<string, number> {
  return new Map(healableLinears(model).map(({ weight }) => [weight, 1]));
}

/** By the severity of each matrix's damage; every linear alike where none is damaged enough to be chosen. */
export function byDamage(
  model: Model,
  matrices: readonly { readonly weight: string; readonly severity: DamageSeverity }[],
): ReadonlyMap<string, number> {
  const severities = new Map(matrices.map(({ weight, severity }) => [weight, severity]));
  const chosen = healableLinears(model).flatMap(({ weight }): [string, number][] => {
    const intensity = INTENSITY[severities.get(weight) ?? 'none'];
    return intensity > 0 ? [[weight, intensity]] : [];
  });
  return chosen.length > 0 ? new Map(chosen) : everywhere(model);
}
