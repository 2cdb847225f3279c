/** One step of a training: what the loss was before its update, and how large the update's gradient. */
export interface TrainingStep {
  /** Counts the updates that were tried; no number comes twice. */
  readonly step: number;
  /** Of the step's windows, under the weights before its update; NaN and the infinities are taken as what they are. */
  readonly loss: number;
  /** ‖∇‖₂ over all that is trained, before clipping. */
  readonly gradientNorm?: number;
}

/** Who votes: the first four on a sudden spike, the others on a gradual degradation. */
export const DETECTORS = ['not-finite', 'robust-z', 'ratio', 'gradient', 'ewma', 'cusum', 'trend'] as const;
export type DetectorName = (typeof DETECTORS)[number];

/** What one detector says of a step. */
export interface Vote {
  readonly detector: DetectorName;
  /** In the detector's own units; null where there is no number (NaN, an infinity). */
  readonly value: number | null;
  /** Above it the detector sounds. */
  readonly limit: number;
  readonly alarm: boolean;
}

/** The vote of a value against its limit. */
export function voteOf(detector: DetectorName, value: number, limit: number): Vote {
  return { detector, value: Number.isFinite(value) ? value : null, limit, alarm: value > limit };
}

/**
 * `none`: nobody sounds. `slight`: too few do, and nothing is done. `degrading`: the loss creeps up. `spike`: it has jumped.
 * `broken`: it is no number.
 */
export const SEVERITIES = ['none', 'slight', 'degrading', 'spike', 'broken'] as const;
export type SpikeSeverity = (typeof SEVERITIES)[number];

/** What all detectors together say of a step. */
export interface SpikeReading {
  readonly step: number;
  readonly severity: SpikeSeverity;
  /** Of the detectors that can judge the step, in the order of `DETECTORS`. */
  readonly votes: readonly Vote[];
  /** `restore`: the update before this step did harm and must not stay. */
  readonly action: 'go-on' | 'restore';
  /** The first step of what is wrong: the weights of a snapshot before it are good. Absent with `go-on`. */
  readonly since?: number;
  /** In words; empty with the severity `none`. */
  readonly reason: string;
}

/** A state and what was read off the step that led to it. */
export interface Observed<State> {
  readonly state: State;
  readonly reading: SpikeReading;
}

/**
 * Watches the losses of a training. Pure: a state goes in and another comes out, and states are plain JSON, so that a training which
 * is saved and resumed reads the same. A snapshot of the weights holds the state of its step, and going back to it goes back to that
 * state, too.
 */
export interface SpikeDetector<State> {
  begin(): State;
  observe(state: State, step: TrainingStep): Observed<State>;
}
