import { median } from 'simple-statistics';
import { type Baseline, LEARNS, levelOf } from './baseline.js';
import { type TrainingStep, type Vote, voteOf } from './reading.js';
import type { SpikeSettings } from './settings.js';
import type { SpikeState } from './state.js';

/** Beyond this a loss has left every scale: squares of such numbers leave float32. */
const LARGEST = 1e18;

/** Whether this is a number that more can be computed with. */
export function isNumber(value: number): boolean {
  return Math.abs(value) <= LARGEST;
}

/** The vote on numbers that are none: loss or gradient NaN, infinite, or as good as. */
export function notFiniteVote({ loss, gradientNorm = 0 }: TrainingStep): Vote {
  const value = Math.max(Math.abs(loss), Math.abs(gradientNorm));
  const alarm = !isNumber(value);
  return { detector: 'not-finite', value: Number.isFinite(value) ? value : null, limit: LARGEST, alarm };
}

/** The votes on a jump of this step, by what the steps before were like. */
export function suddenVotes(
  { loss, gradientNorm }: TrainingStep,
  { gradients, average }: SpikeState,
  baseline: Baseline,
  limits: SpikeSettings,
): Vote[] {
  const votes = [voteOf('robust-z', (levelOf(loss) - baseline.centre) / baseline.nextScale, limits.robustZ)];
  if (average !== null && average > 0) votes.push(voteOf('ratio', loss / average, limits.ratio));
  if (gradientNorm !== undefined && gradients.length >= LEARNS) {
    const usual = median([...gradients]);
    if (usual > 0) votes.push(voteOf('gradient', gradientNorm / usual, limits.gradient));
  }
  return votes;
}
