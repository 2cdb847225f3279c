import type { EwmaState } from './control-charts.js';
import type { DetectorName } from './reading.js';

/** What the ensemble remembers: plain JSON, a few hundred numbers at most. */
export interface SpikeState {
  /** Levels of the newest losses, and the newest gradient norms, oldest first. */
  readonly levels: readonly number[];
  readonly gradients: readonly number[];
  /** Steps taken in. */
  readonly count: number;
  /** Exponential average of the losses; null before the first. */
  readonly average: number | null;
  /** `since`: the step at which the sum last began to rise; null at 0. */
  readonly cusum: { readonly sum: number; readonly since: number | null };
  readonly ewma: EwmaState;
  /** The lowest median of levels so far, and the step that its steps ended with. */
  readonly lowest: { readonly median: number; readonly step: number } | null;
  /** How the sudden detectors sounded at the step before; null where they did not. */
  readonly before: { readonly step: number; readonly weight: number } | null;
  /** Gradual detectors that have sounded lately. */
  readonly lately: readonly Sounded[];
}

/** A gradual detector that has sounded. */
export interface Sounded {
  readonly detector: DetectorName;
  readonly weight: number;
  /** The number of the step in `SpikeState.count`. */
  readonly at: number;
  /** The first step of what it sounded about. */
  readonly since: number;
}

export const BEGINNING: SpikeState = {
  levels: [],
  gradients: [],
  count: 0,
  average: null,
  cusum: { sum: 0, since: null },
  ewma: { average: 0, count: 0 },
  lowest: null,
  before: null,
  lately: [],
};
