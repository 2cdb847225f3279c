import type { DetectorName, SpikeReading, SpikeSeverity, Vote } from './reading.js';
import type { Sounded, SpikeState } from './state.js';

/** What has to come together for anything to be done. */
const ENOUGH = 2;

/** What a sudden detector's alarm weighs. The ratio looks at the same number as robust z: with it, it proves nothing more. */
const SUDDEN: Partial<Record<DetectorName, number>> = { 'robust-z': 1, gradient: 1, ratio: 0.5 };

/** The weight of the sudden detectors that sound. */
export function suddenWeight(votes: readonly Vote[]): number {
  return votes.reduce((sum, { detector, alarm }) => sum + (alarm ? (SUDDEN[detector] ?? 0) : 0), 0);
}

/** What sounded in the last `memory` steps, each detector by what it said last. */
export function stillSounding(
  { lately, count }: SpikeState,
  now: readonly Sounded[],
  memory: number,
): readonly Sounded[] {
  const before = lately.filter(
    ({ detector, at }) => count - at < memory && !now.some((sounded) => sounded.detector === detector),
  );
  return [...before, ...now];
}

/** What the votes of a step are weighed with. */
export interface Evidence {
  /** `suddenWeight` of this step and of the one before. */
  readonly sudden: number;
  readonly suddenBefore: number;
  /** `stillSounding`, and whether one of them sounds at this step. */
  readonly gradual: readonly Sounded[];
  readonly soundsNow: boolean;
}

/**
 * How bad it is. A batch of odd text looks like a spike for one step: loss and gradient must agree, or two steps in a row. Of the
 * gradual detectors two must agree, or one be beyond twice its limit.
 */
export function severityOf(
  votes: readonly Vote[],
  { sudden, suddenBefore, gradual, soundsNow }: Evidence,
): SpikeSeverity {
  if (votes.some(({ detector, alarm }) => detector === 'not-finite' && alarm)) return 'broken';
  if (sudden > 0 && sudden + suddenBefore >= ENOUGH) return 'spike';
  const weight = gradual.reduce((sum, sounded) => sum + sounded.weight, 0);
  if (soundsNow && weight >= ENOUGH) return 'degrading';
  return sudden > 0 || soundsNow ? 'slight' : 'none';
}

export function actionOf(severity: SpikeSeverity): SpikeReading['action'] {
  return severity === 'none' || severity === 'slight' ? 'go-on' : 'restore';
}

const NAMES: Readonly<Record<Exclude<DetectorName, 'not-finite'>, string>> = {
  'robust-z': 'deviations above the median',
  ratio: 'times the average loss',
  gradient: 'times the usual gradient',
  ewma: 'deviations on average',
  cusum: 'deviations in sum',
  trend: 'standard errors above the lowest level',
};

/** What the sounding detectors say, in words. */
export function reasonOf(votes: readonly Vote[]): string {
  const sounding = votes.filter(({ alarm }) => alarm);
  return sounding.map(wordsOf).join('; ');
}

function wordsOf({ detector, value, limit }: Vote): string {
  if (detector === 'not-finite')
    return value === null ? 'no number' : `a loss or gradient of ${value.toExponential(1)}`;
  const shown = value === null ? 'infinitely many' : value.toPrecision(3);
  return `${shown} ${NAMES[detector]} (limit ${limit.toPrecision(3)})`;
}
