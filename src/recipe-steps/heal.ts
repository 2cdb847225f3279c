import { z } from 'zod';

/**
 * How weights are given back what compression took from them. What is left out follows from the rest (docs/healing.md). One of `steps`
 * and `minutes` says how long; five minutes unless either does.
 */
export const healFields = z.strictObject({
  /** End to end by the loss behind the head (the default), or block by block, each against the dense block's output. */
  method: z.enum(['distill', 'reconstruct']).optional(),
  /** Rank of the adapters, or `full`: the weights that are left are trained themselves. */
  rank: z.union([z.int().min(1).max(65_536), z.literal('full')]).optional(),
  /** ΔW = (alpha / rank) B A. */
  alpha: z.number().gt(0).optional(),
  learningRate: z.number().gt(0).lt(1).optional(),
  /** Part of the loss that is the divergence from the dense model's predictions; the rest is that of the text itself. */
  klShare: z.number().gte(0).lte(1).optional(),
  /** Windows that each step learns from. */
  batchWindows: z.int().min(1).max(65_536).optional(),
  steps: z.int().min(1).max(10_000_000).optional(),
  /** Turned into steps by timing the first ones; the number is in the journal before it is used. */
  minutes: z.number().gt(0).max(525_600).optional(),
  /** The frozen weights are held in 4 bits while it trains: a third of the memory, and more noise (QLoRA). */
  qlora: z.boolean().optional(),
  /** Every matrix learns alike, whatever its damage. */
  everywhere: z.boolean().optional(),
});

/** One healing step: the linear weights inside the blocks are trained towards the dense model; zeros stay zeros. */
export const healStep = healFields.extend({ do: z.literal('heal') });

export type HealFields = z.output<typeof healFields>;
export type HealStep = z.output<typeof healStep>;
