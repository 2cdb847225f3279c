import { z } from 'zod';

const fraction = z.number().gt(0).lt(1);

/**
 * How a step goes whose schedule is `adaptive`: the size of each wave follows from what the waves before it have cost
 * (docs/waves.md). Steps are differences in sparsity.
 */
export const adaptivePace = z.strictObject({
  /** The first wave, before anything is known of the model. */
  firstStep: fraction.default(0.05),
  /** No wave is larger. */
  maxStep: fraction.default(0.25),
  /** A wave may be larger than the one kept before it by this factor. */
  growth: z.number().min(1).max(8).default(2),
  /** The share of what the gate still leaves that a wave may be expected to take. */
  spend: fraction.default(0.5),
  /** What each failure divides the step by; failures in a row divide it again and again. */
  backOff: z.number().min(1.1).max(16).default(2),
  /** So many failures in a row end the step. */
  maxFailures: z.int().min(1).max(100).default(3),
  /** So many waves end the step, whether kept or not. */
  maxWaves: z.int().min(1).max(1000).default(40),
});

export type AdaptivePace = z.output<typeof adaptivePace>;
