import type { TokenBatch } from '../model/index.js';

/** Squared norms below this count as this: a dense output of zeros is fitted, not divided by. */
const LEAST_SQUARE = 1e-12;

/**
 * 1 / (tokens · ‖h‖²) at each real position of a batch's dense outputs h [rows, columns, width], 0 at padding: what makes a sum of squared
 * errors the mean relative one over `tokens`. By token, for the few whose states are hundreds of times larger than all others (Sun et
 * al. 2024, "Massive Activations in Large Language Models") would be all that counts otherwise.
 */
export function tokenWeights(
  outputs: Float32Array,
  { columns, lengths }: Pick<TokenBatch, 'columns' | 'lengths'>,
  width: number,
  tokens: number,
): Float32Array {
  const weights = new Float32Array(lengths.length * columns);
  lengths.forEach((length, row) => {
    for (let column = 0; column < length; column += 1) {
      const position = row * columns + column;
      let squares = 0;
      for (let i = position * width; i < (position + 1) * width; i += 1) squares += outputs[i]! * outputs[i]!;
      weights[position] = 1 / (tokens * Math.max(LEAST_SQUARE, squares));
    }
  });
  return weights;
}
