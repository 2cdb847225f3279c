import { type Schedule, targets } from './schedule.js';

/** One wave's outcome, as the stepper needs it. */
export interface Outcome {
  /** The sparsity that was proposed. */
  readonly target: number;
  readonly committed: boolean;
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

/**
 * The next sparsity to propose after these outcomes, or undefined when there is nothing left to try.
 *
 * Follows the schedule until a wave is rolled back. From then on the step is halved after each failure, kept after each
 * success, and halved too where it would reach a sparsity that failed before; it ends below `minStep`. Pure: a resumed run
 * replays its outcomes and goes on where it was.
 */
export function nextTarget(settings: StepperSettings, outcomes: readonly Outcome[]): number | undefined {
  const planned = targets(settings.schedule, settings.target, settings.waves);
  let kept = settings.from ?? 0;
  let failed = Number.POSITIVE_INFINITY;
  let step: number | undefined;
  for (const outcome of outcomes) {
    if (outcome.committed) {
      kept = outcome.target;
    } else {
      failed = Math.min(failed, outcome.target);
      step = (outcome.target - kept) / 2;
    }
  }
  if (kept >= settings.target - SAME) return undefined;
  if (step === undefined) return planned.find((target) => target > kept + SAME);
  while (kept + step >= failed - SAME) step /= 2;
  if (step < settings.minStep - SAME) return undefined;
  return Math.min(kept + step, settings.target);
}
