import { silent } from '../events.js';
import type { TrainContext, Trainer, TrainWork } from './types.js';

/** What a clock has said about a training: how many steps it may have. */
export interface StepsDecision {
  readonly steps: number;
  readonly minutes: number;
  /** What they were counted by. */
  readonly secondsPerStep: number;
}

/** Steps that are timed. The first is not: it loads what the others find there, and asks the teacher. */
const TIMED_STEPS = 3;

/** A training of more steps than anybody waits for: the timed ones are its very first. */
const ENDLESS = 1_000_000;

/**
 * How many steps fit into so many minutes on this machine, one at least. Takes the first steps and throws what they have learnt away:
 * how long a training is decides how its rate falls, so that no step of the real one can be taken before.
 */
export async function stepsForMinutes(
  trainer: Trainer,
  work: TrainWork,
  { minutes, clock }: { readonly minutes: number; readonly clock: () => number },
  context: TrainContext,
): Promise<StepsDecision> {
  const trial = { ...work, settings: { ...work.settings, steps: ENDLESS } };
  const begun = clock();
  let first = begun;
  let last = begun;
  let taken = 0;
  for await (const _ of trainer.train(trial, { ...context, report: silent })) {
    last = clock();
    if (taken === 0) first = last;
    taken += 1;
    if (taken > TIMED_STEPS) break;
  }
  const secondsPerStep = (last - first) / 1000 / TIMED_STEPS;
  // The trial took its time from the same minutes, and what its first step took besides, the real one takes again.
  const left = 60 * minutes - 2 * ((first - begun) / 1000 - secondsPerStep) - (TIMED_STEPS + 1) * secondsPerStep;
  return { steps: Math.max(1, Math.floor(left / secondsPerStep)), minutes, secondsPerStep };
}
