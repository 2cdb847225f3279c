import type { AdaptivePace } from '../recipe.js';
import type { Schedule } from './schedule.js';

/** One wave's outcome, as the stepper needs it. */
export interface Outcome {
  /** The sparsity that was proposed. */
  readonly target: number;
  readonly committed: boolean;
  /** Of a wave that was not kept: the plates to blame are known, and the same is to be proposed without them. */
  readonly again?: boolean;
  /** Of a wave that was kept: damage comes faster than before. */
  readonly warned?: boolean;
  /** Of a wave that was kept: the part of the gate's room that is taken after it (`roomUsed`); absent where none was measured. */
  readonly used?: number;
  /** Dropped by hand before it was judged: it says nothing of the model. */
  readonly skipped?: boolean;
}

export interface StepperSettings {
  readonly schedule: Schedule;
  readonly target: number;
  readonly waves: number;
  readonly minStep: number;
  /** The waves decide how large the next one is, and `schedule` and `waves` say nothing. */
  readonly adaptive?: AdaptivePace;
  /** Sparsity before the first wave: what earlier steps of the recipe kept. */
  readonly from?: number;
  /** The part of the gate's room that was taken before the first wave; 0 unless given. */
  readonly usedBefore?: number;
}

/**
 * Why a step is over: its target was reached; nothing lies between what was kept and what failed; too many failures in a row; as many
 * waves as were allowed; a wave was skipped whose half is not worth a wave.
 */
export type Ending = 'reached' | 'limit' | 'failures' | 'waves' | 'skipped';

/** What to propose next, or why nothing. */
export type Decision = { readonly target: number } | { readonly end: Ending };

/** Sparsities nearer than this are the same: far below any step a user may ask for, far above f64 rounding. */
export const SAME = 1e-9;
