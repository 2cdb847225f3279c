import { DEFAULT_MINUTES, HEAL_DEFAULTS } from '../healing/index.js';
import type { HealFields, Step } from '../recipe.js';
import type { Inputs } from './inputs.js';
import { sizesOf } from './sizes.js';

/** A step goes through every weight forward, forward again when its blocks are recomputed, and back for activations and for weights. */
const PASSES = 4;

/**
 * Seconds that these waves of each step spend on healing: the recipe's minutes, or what its steps take on a device that is so fast. An
 * estimate; small models are slower, for what is not a matrix product counts there.
 */
export function healingSeconds(
  { recipe, model, calibration }: Pick<Inputs, 'recipe' | 'model' | 'calibration'>,
  waves: readonly number[],
  flopsPerSecond: number,
): number {
  const { multiplied } = sizesOf(model);
  const context = calibration?.context ?? 0;
  return recipe.steps.reduce((sum, step, index) => {
    const choices = healingOf(step);
    if (choices === undefined) return sum;
    const { steps, minutes = DEFAULT_MINUTES, batchWindows = HEAL_DEFAULTS.batchWindows } = choices;
    const tokens = (steps ?? 0) * batchWindows * context;
    const each = steps === undefined ? 60 * minutes : (2 * PASSES * tokens * multiplied) / flopsPerSecond;
    return sum + waves[index]! * each;
  }, 0);
}

/** How a step heals, if it does. */
function healingOf(step: Step): HealFields | undefined {
  if (step.do === 'heal') return step;
  return step.do === 'prune' ? step.heal : undefined;
}
