import type { AskedBy } from '../pause.js';

/** What can be done to a run by hand. `pause` and `resume` change nothing of its result; `skip` and `stop` do. */
export const CONTROL_ACTIONS = ['pause', 'resume', 'skip', 'stop'] as const;
export type ControlAction = (typeof CONTROL_ACTIONS)[number];

/** Something that was done to a run by hand. It is in the journal before anything follows from it. */
export interface ControlRecord {
  readonly type: 'control';
  readonly action: ControlAction;
  /** Of `skip`: the wave that was dropped. Otherwise the wave that was being made, or would have come next. */
  readonly wave: number;
  /** Of `skip`: the wave's step of the recipe, and the sparsity that it went for. */
  readonly step?: number;
  readonly target?: number;
  /** A request in a file, or a signal to the process. */
  readonly by: AskedBy;
  /** When, ISO 8601; the journal adds it. */
  readonly at: string;
}
