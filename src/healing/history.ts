import type { LossCurve, SpikeRecord } from './guarded-training.js';
import type { Distance } from './held-out.js';
import type { HealSettings } from './types.js';

/** What a healing did, as the journal and the manifest have it: plain JSON, and no time but what was decided by it. */
export interface HealingRecord {
  readonly method: HealSettings['method'];
  readonly rank: HealSettings['rank'];
  readonly frozen: HealSettings['frozen'];
  /** Matrices that learnt. */
  readonly matrices: number;
  readonly steps: number;
  /** Steps that the result has; fewer where spikes ended it. */
  readonly taken: number;
  readonly minutes?: number;
  readonly learningRate: number;
  /** What earlier healing of the run made of the rate: 1, or less after one that did not help. */
  readonly caution: number;
  readonly windows: { readonly learnt: number; readonly heldOut: number };
  /** Against the dense model on the held-out windows; null where the model gives no numbers. */
  readonly before: Distance | null;
  readonly after: Distance | null;
  /** Part of the divergence that is gone: 1 − after / before. */
  readonly regained: number;
  /** Whether the model was changed: not where it would be no nearer to the dense one. */
  readonly applied: boolean;
  readonly stopped: boolean;
  readonly spikes: readonly SpikeRecord[];
  readonly curve: LossCurve;
}

/** The rate never falls below this part of what it would be. */
const LEAST_CAUTION = 1 / 8;

/**
 * What the next healing's learning rate is multiplied by, from what earlier ones came to: halved after each that three strikes ended or
 * that brought the model no nearer, doubled again, to 1 at most, after one that worked.
 */
export function cautionOf(earlier: readonly Pick<HealingRecord, 'applied' | 'stopped'>[]): number {
  return earlier.reduce(
    (caution, { applied, stopped }) =>
      applied && !stopped ? Math.min(1, 2 * caution) : Math.max(LEAST_CAUTION, caution / 2),
    1,
  );
}
