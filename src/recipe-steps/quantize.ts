import { z } from 'zod';

/** Columns that share a scale, or what shares one in their place. */
export const groupSize = z.union([z.int().min(2).max(1_048_576), z.enum(['channel', 'tensor'])]);

/**
 * One quantizing step: the linear weights inside the blocks are stored in fewer bits. What is left out follows from the scheme
 * (docs/quantization.md has the tables); the layout of the result is the recipe's `output`.
 */
export const quantizeStep = z.strictObject({
  do: z.literal('quantize'),
  /** int8, int4, fp8, nf4, q4_k_m …: what one weight is stored as. May be left out where a budget below chooses. */
  scheme: z.string().min(1).optional(),
  /** How the codes are found; rtn by default: each weight rounded to the nearest. */
  algorithm: z.enum(['rtn', 'gptq', 'awq', 'hqq', 'smoothquant']).optional(),
  groupSize: groupSize.optional(),
  /** A zero point for each group, for weights that are not spread about 0. */
  asymmetric: z.boolean().optional(),
  /** Scales by the largest weight of a group, or those of the least squared error. */
  scale: z.enum(['absmax', 'mse']).optional(),
  /** Bits for each weight, scales included: schemes are divided over the matrices to meet it. */
  bitsPerWeight: z.number().gt(1).lte(16).optional(),
  /** Bytes of the published weights: as bitsPerWeight, by the size of the files. */
  sizeBytes: z.int().min(1).optional(),
  /** Other schemes for some tensors, by glob; `dense` leaves them as they are. The last that fits counts. */
  keep: z.record(z.string().min(1), z.string().min(1)).optional(),
  /** With gptq: this part of the weights is removed in the same sweep, which makes up for both. With N:M, 1 − N/M by default. */
  sparsity: z.number().gt(0).lt(1).optional(),
  /** With gptq: how the weights that stay lie: unstructured (the default, with a sparsity), 2:4 … */
  pattern: z.string().min(1).optional(),
  /** Also scales for a KV cache of 8 bits, found on the calibration text. */
  kvCache: z.enum(['fp8']).optional(),
});

export type QuantizeStep = z.output<typeof quantizeStep>;
