import type { Pace } from '../recipe.js';
import { targets } from './schedule.js';
import { nextTarget, type Outcome } from './stepper.js';

/** Within which bounds the waves of an adaptive step go. */
export interface AdaptiveBounds {
  /** Of the first wave. */
  readonly firstStep: number;
  readonly minStep: number;
  readonly maxStep: number;
  /** Waves if none is rolled back and none loses anything. */
  readonly fewestWaves: number;
  readonly mostWaves: number;
  /** Failures in a row that end the step, and what each divides the step by. */
  readonly maxFailures: number;
  readonly backOff: number;
}

/**
 * The sparsity after each wave of a step that goes to `target` from nothing, if none is rolled back; of an adaptive one, if none
 * loses anything either: what it may do at its fastest.
 */
export function wavesAtBest(pace: Pace, target: number): number[] {
  if (pace.adaptive === undefined) return targets(pace.schedule, target, pace.waves);
  const outcomes: Outcome[] = [];
  for (;;) {
    const next = nextTarget({ ...pace, target }, outcomes);
    if (next === undefined) return outcomes.map((outcome) => outcome.target);
    outcomes.push({ target: next, committed: true, used: 0 });
  }
}

/** The bounds of an adaptive step; null for another. */
export function adaptiveBounds(pace: Pace, target: number): AdaptiveBounds | null {
  if (pace.adaptive === undefined) return null;
  const { firstStep, maxStep, maxWaves, maxFailures, backOff } = pace.adaptive;
  const best = wavesAtBest(pace, target);
  return {
    firstStep: best[0] ?? firstStep,
    minStep: pace.minStep,
    maxStep,
    fewestWaves: best.length,
    mostWaves: maxWaves,
    maxFailures,
    backOff,
  };
}
