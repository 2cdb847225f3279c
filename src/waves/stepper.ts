import { decideAdaptively } from './adaptive.js';
import { type Decision, type Ending, type Outcome, SAME, type StepperSettings } from './outcomes.js';
import { targets } from './schedule.js';

export type { Decision, Ending, Outcome, StepperSettings } from './outcomes.js';

/** Where the outcomes have led. */
interface Position {
  kept: number;
  /** The smallest sparsity that has failed. */
  failed: number;
  /** Undefined while the schedule is followed. */
  step: number | undefined;
  /** To be proposed once more. */
  again: number | undefined;
  ended: Ending | undefined;
}

/** The next sparsity to propose after these outcomes, or undefined when there is nothing left to try; see `decide`. */
export function nextTarget(settings: StepperSettings, outcomes: readonly Outcome[]): number | undefined {
  const decision = decide(settings, outcomes);
  return 'target' in decision ? decision.target : undefined;
}

/**
 * What comes after these outcomes: the next sparsity to propose, or why there is none.
 *
 * Follows the schedule until a wave is rolled back. From then on the step is halved after each failure, kept after each
 * success, and halved too where it would reach a sparsity that failed before; it ends below `minStep`. A wave whose culprits are
 * known is proposed again as it was. After it, and after each warning, the next step is half of what it would have been; care
 * alone never makes it smaller than `minStep`, so it ends no run. A skipped wave halves the step too, and may be tried again later.
 * An adaptive pace goes by `decideAdaptively`. Pure: a resumed run replays its outcomes and goes on where it was.
 */
export function decide(settings: StepperSettings, outcomes: readonly Outcome[]): Decision {
  if (settings.adaptive !== undefined) return decideAdaptively({ ...settings, adaptive: settings.adaptive }, outcomes);
  const planned = targets(settings.schedule, settings.target, settings.waves);
  const at: Position = {
    kept: settings.from ?? 0,
    failed: Number.POSITIVE_INFINITY,
    step: undefined,
    again: undefined,
    ended: undefined,
  };
  for (const outcome of outcomes) follow(at, outcome, settings, planned);
  if (at.again !== undefined) return { target: at.again };
  if (at.kept >= settings.target - SAME) return { end: 'reached' };
  if (at.ended !== undefined) return { end: at.ended };
  if (at.step === undefined) {
    const target = planned.find((sparsity) => sparsity > at.kept + SAME);
    return target === undefined ? { end: 'reached' } : { target };
  }
  let { step } = at;
  while (at.kept + step >= at.failed - SAME) step /= 2;
  if (at.failed < Number.POSITIVE_INFINITY && step < settings.minStep - SAME) return { end: 'limit' };
  const next = at.kept + step;
  return { target: next >= settings.target - SAME ? settings.target : next };
}

function follow(at: Position, outcome: Outcome, settings: StepperSettings, planned: readonly number[]): void {
  const isRepaired = at.again !== undefined;
  at.again = undefined;
  if (outcome.skipped) {
    at.step = (outcome.target - at.kept) / 2;
    if (at.step < settings.minStep - SAME) at.ended = 'skipped';
  } else if (outcome.committed) {
    at.kept = outcome.target;
    if (outcome.warned || isRepaired) at.step = carefulStep(at, settings, planned);
  } else if (outcome.again) {
    at.again = outcome.target;
  } else {
    at.failed = Math.min(at.failed, outcome.target);
    at.step = (outcome.target - at.kept) / 2;
  }
}

/** Half of the step that would come next, but no less than the smallest, unless that step itself is. */
function carefulStep({ kept, step }: Position, { target, minStep }: StepperSettings, planned: readonly number[]) {
  const next = planned.find((sparsity) => sparsity > kept + SAME) ?? target;
  const full = step ?? next - kept;
  return Math.max(full / 2, Math.min(full, minStep));
}
