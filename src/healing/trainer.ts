import { factors, merge } from './merge.js';
import { reconstruct } from './reconstruct.js';
import { distill } from './train.js';
import type { Trainer } from './types.js';

/** The training core: end to end, or block by block. */
export const trainer: Trainer = {
  train: (work, context) => (work.settings.method === 'reconstruct' ? reconstruct : distill)(work, context),
  merge,
  factors,
};
