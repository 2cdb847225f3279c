import { MISTRAL } from '../synthetic-mistral.js';
import type { Sizes } from './stage.js';

/** What the targets speak of. */
export const FULL: Sizes = {
  products: [
    [4096, 4096, 4096],
    [8192, 4096, 14_336],
  ],
  copyBytes: 2 ** 30,
  shape: MISTRAL,
  context: 2048,
  windows: [2, 8],
  minSeconds: 0.5,
  rounds: 5,
};

/** The same program on a GPU in software, in seconds. */
export const TINY: Sizes = {
  products: [
    [64, 64, 64],
    [96, 64, 160],
  ],
  copyBytes: 2 ** 16,
  shape: {
    hidden_size: 64,
    intermediate_size: 160,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    vocab_size: 128,
  },
  context: 16,
  windows: [1, 2],
  minSeconds: 0,
  rounds: 1,
};
