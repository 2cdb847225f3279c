import { z } from 'zod';

const fraction = z.number().gt(0).lt(1);

/**
 * One factorizing step: the linear weights inside the blocks become products of two thin matrices. One of `ratio`, `energy` and
 * `rank` says how thin (docs/lowrank.md).
 */
export const factorizeStep = z.strictObject({
  do: z.literal('factorize'),
  /** Fraction of these weights' parameters that goes. */
  ratio: fraction.optional(),
  /** Fraction of each matrix's energy that stays; a matrix that no useful rank serves stays as it is. */
  energy: fraction.optional(),
  /** The rank of every matrix that it makes smaller. */
  rank: z.int().min(1).optional(),
  /** With a ratio: the same one for every matrix, or divided by marginal loss over all of them (the default). */
  ranks: z.enum(['uniform', 'loss']).optional(),
  /** The least loss of the outputs on the calibration text (the default), or of the weights by themselves. */
  algorithm: z.enum(['svd', 'whitened']).optional(),
  /** Two factors for each weight (the default), for birdbone; or their product, for any engine. */
  format: z.enum(['factors', 'dense']).optional(),
  /** With a ratio: the smallest step that is still tried after a wave was rolled back. */
  minStep: fraction.default(0.05),
});

export type FactorizeStep = z.output<typeof factorizeStep>;
