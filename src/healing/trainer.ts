import { factors, merge } from './merge.js';
import { distill } from './train.js';
import type { Trainer } from './types.js';

/** The training core: `reconstruct` block by block, `distill` end to end. */
export const trainer: Trainer = {
  train: (work, context) => distill(work, context),
  merge,
  factors,
};
