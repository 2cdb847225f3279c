import { assessDamage, type DamageSeverity } from '../damage/index.js';
import type { Model } from '../model/index.js';
import { healableLinears } from './healed-view.js';
import type { TrainContext, TrainWindow } from './types.js';

/**
 * How fast a matrix learns by how much of the output's error comes from it: what is hardly hurt has little to gain and most to lose.
 */
export const INTENSITY: Readonly<Record<DamageSeverity, number>> = {
  none: 0,
  slight: 0.5,
  moderate: 1,
  severe: 1,
  critical: 1,
};

/** Windows that damage is assessed on: as many as the waves' monitors look at. */
const DAMAGE_WINDOWS = 8;

/** One linear that is to be healed. */
export interface Target {
  readonly weight: string;
  /** Factor on the learning rate. */
  readonly intensity: number;
  /** Where damage was assessed: its class, and the error at the model's output that starts here, as part of it. */
  readonly severity?: DamageSeverity;
  readonly atOutput?: number;
}

/** What targets are chosen from. */
export interface Patient {
  readonly model: Model;
  readonly dense: Model;
  readonly windows: readonly TrainWindow[];
}

/**
 * The linears that learn, those most damaged first. Each learns by the severity of its damage; all alike where that was wished, where the
 * models have no blocks in common, and where nothing is hurt enough to be chosen.
 */
export async function chooseTargets(
  { model, dense, windows }: Patient,
  { alike }: { readonly alike: boolean },
  context: TrainContext,
): Promise<readonly Target[]> {
  const all = healableLinears(model).map(({ weight }): Target => ({ weight, intensity: 1 }));
  if (alike || !hasSameBlocks(model, dense)) return all;
  const { matrices } = await assessDamage(dense, model, windows.slice(0, DAMAGE_WINDOWS), context);
  const damage = new Map(matrices.map(({ weight, severity, atOutput }) => [weight, { severity, atOutput }]));
  const hurt = all.flatMap(({ weight }): Required<Target>[] => {
    const found = damage.get(weight);
    if (found === undefined || INTENSITY[found.severity] === 0) return [];
    return [{ weight, intensity: INTENSITY[found.severity], ...found }];
  });
  return hurt.length === 0 ? all : hurt.sort((left, right) => right.atOutput - left.atOutput);
}

function hasSameBlocks({ decoder: now }: Model, { decoder: dense }: Model): boolean {
  return now.blocks.length === dense.blocks.length && now.hidden === dense.hidden;
}
