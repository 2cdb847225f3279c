import { type Schedule, targets } from './schedule.js';

/** One wave's outcome, as the stepper needs it. */
export interface Outcome {
  /** The sparsity that was proposed. */
  readonly target: number;
  readonly committed: boolean;
  /** Of a wave that was not kept: the plates to blame are known, and the same is to be proposed without them. */
  readonly again?: boolean;
  /** Of a wave that was kept: damage comes faster than before. */
  readonly warned?: boolean;
}

export interface StepperSettings {
  readonly schedule: Schedule;
  readonly target: number;
  readonly waves: number;
  readonly minStep: number;
  /** Sparsity before the first wave: what earlier steps of the recipe kept. */
  readonly from?: number;
}

/** Sparsities nearer than this are the same: far below any step a user may ask for, far above f64 rounding. */
const SAME = 1e-9;

/** Where the outcomes have led. */
interface Position {
  kept: number;
  /** The smallest sparsity that has failed. */
  failed: number;
  /** Undefined while the schedule is followed. */
  step: number | undefined;
  /** To be proposed once more. */
  again: number | undefined;
}

/**
 * The next sparsity to propose after these outcomes, or undefined when there is nothing left to try.
 *
 * Follows the schedule until a wave is rolled back. From then on the step is halved after each failure, kept after each
 * success, and halved too where it would reach a sparsity that failed before; it ends below `minStep`. A wave whose culprits are
 * known is proposed again as it was. After it, and after each warning, the next step is half of what it would have been; care
 * alone never makes it smaller than `minStep`, so it ends no run. Pure: a resumed run replays its outcomes and goes on where it
 * was.
 */
export function nextTarget(settings: StepperSettings, outcomes: readonly Outcome[]): number | undefined {
  const planned = targets(settings.schedule, settings.target, settings.waves);
  const at: Position = {
    kept: settings.from ?? 0,
    failed: Number.POSITIVE_INFINITY,
    step: undefined,
    again: undefined,
  };
  for (const outcome of outcomes) follow(at, outcome, settings, planned);
  if (at.again !== undefined) return at.again;
  if (at.kept >= settings.target - SAME) return undefined;
  if (at.step === undefined) return planned.find((target) => target > at.kept + SAME);
  let { step } = at;
  while (at.kept + step >= at.failed - SAME) step /= 2;
  if (at.failed < Number.POSITIVE_INFINITY && step < settings.minStep - SAME) return undefined;
  const next = at.kept + step;
  return next >= settings.target - SAME ? settings.target : next;
}

function follow(at: Position, outcome: Outcome, settings: StepperSettings, planned: readonly number[]): void {
  const isRepaired = at.again !== undefined;
  at.again = undefined;
  if (outcome.committed) {
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
