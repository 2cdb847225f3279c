import type { AdaptivePace } from '../recipe.js';
import { type Decision, type Ending, type Outcome, SAME, type StepperSettings } from './outcomes.js';

export interface AdaptiveSettings extends Omit<StepperSettings, 'schedule' | 'waves'> {
  readonly adaptive: AdaptivePace;
}

/** A kept state: its sparsity, and the part of the gate's room that is taken in it. */
interface Response {
  readonly sparsity: number;
  readonly used: number;
}

/** Where the outcomes have led. */
interface Position {
  kept: number;
  /** The smallest sparsity that has failed. */
  failed: number;
  /** The largest step that growth or back-off allow. */
  allowed: number;
  failuresInRow: number;
  /** To be proposed once more. */
  again: number | undefined;
  ended: Ending | undefined;
  readonly responses: Response[];
}

/**
 * What comes after these outcomes of an adaptive pace. The step begins at `firstStep`, grows by `growth` after each wave that was
 * kept, and is divided by `backOff` after each that was not; after a warning, and after a repaired or a skipped wave, it is halved.
 * It is never larger than `maxStep`, nor than what is expected to take `spend` of the room that the gate leaves
 * (`stepWithin`); never smaller than `minStep`. No sparsity that failed, nor a larger one, is tried again. It ends at the target,
 * where less than `minStep` lies below what failed, and at the limits of the recipe. Pure: a resumed run replays its outcomes.
 */
export function decideAdaptively(settings: AdaptiveSettings, outcomes: readonly Outcome[]): Decision {
  const { adaptive, minStep, target, from = 0, usedBefore = 0 } = settings;
  const at: Position = {
    kept: from,
    failed: Number.POSITIVE_INFINITY,
    allowed: adaptive.firstStep,
    failuresInRow: 0,
    again: undefined,
    ended: undefined,
    responses: [{ sparsity: from, used: usedBefore }],
  };
  for (const outcome of outcomes) follow(at, outcome, settings);
  if (at.kept >= target - SAME) return { end: 'reached' };
  if (at.ended !== undefined) return { end: at.ended };
  if (outcomes.length >= adaptive.maxWaves) return { end: 'waves' };
  if (at.again !== undefined) return { target: at.again };
  let step = Math.max(minStep, Math.min(at.allowed, adaptive.maxStep, stepWithin(at.responses, adaptive.spend)));
  if (at.kept + step >= at.failed - SAME) step = Math.max(minStep, (at.failed - at.kept) / adaptive.backOff);
  if (at.kept + step >= at.failed - SAME) return { end: 'limit' };
  const next = at.kept + step;
  // What would be left is not worth a wave of its own.
  const isLast = target - next < minStep - SAME && target < at.failed - SAME;
  return { target: isLast ? target : Math.min(next, target) };
}

function follow(at: Position, outcome: Outcome, { adaptive, minStep }: AdaptiveSettings): void {
  const step = outcome.target - at.kept;
  const isRepaired = at.again !== undefined;
  at.again = undefined;
  if (outcome.skipped) {
    at.allowed = step / 2;
    if (at.allowed < minStep - SAME) at.ended = 'skipped';
  } else if (outcome.committed) {
    at.kept = outcome.target;
    at.failuresInRow = 0;
    at.allowed = outcome.warned || isRepaired ? step / 2 : step * adaptive.growth;
    if (outcome.used !== undefined) at.responses.push({ sparsity: at.kept, used: outcome.used });
  } else if (outcome.again) {
    at.again = outcome.target;
  } else {
    at.failed = Math.min(at.failed, outcome.target);
    at.failuresInRow += 1;
    at.allowed = step / adaptive.backOff;
    if (at.failuresInRow >= adaptive.maxFailures) at.ended = 'failures';
  }
}

/**
 * The step after which `spend` of the room that is left is expected to be taken: by the parabola through the last three responses,
 * or the line through two. Damage grows faster the more is gone, so a parabola that bends down is noise, and the line through the
 * last two counts. Infinite while nothing is known or nothing was lost.
 */
function stepWithin(responses: readonly Response[], spend: number): number {
  const [first, before, last] = [responses.at(-3), responses.at(-2), responses.at(-1)];
  if (before === undefined || last === undefined) return Number.POSITIVE_INFINITY;
  const room = spend * Math.max(0, 1 - last.used);
  const slope = slopeOf(before, last);
  // Newton's divided differences: used(s + h) = used(s) + h·slope + h·(h + last step)·bend.
  const bend =
    first === undefined ? 0 : Math.max(0, (slope - slopeOf(first, before)) / (last.sparsity - first.sparsity));
  const rise = slope + bend * (last.sparsity - before.sparsity);
  if (bend > 0) return (Math.sqrt(rise * rise + 4 * bend * room) - rise) / (2 * bend);
  return rise > 0 ? room / rise : Number.POSITIVE_INFINITY;
}

function slopeOf(from: Response, to: Response): number {
  return (to.used - from.used) / (to.sparsity - from.sparsity);
}
