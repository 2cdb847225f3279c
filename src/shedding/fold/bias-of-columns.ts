import type { Weight } from '../../solvers/index.js';

/**
 * What columns of a linear add to its outputs on average, W (E[x] ⊙ gone): the bias that stands for them when they go. Added up in
 * float64. Source: An et al. 2024, "Fluctuation-based Adaptive Structured Pruning", section 3.4.
 */
export function biasOfColumns(
  { values, rows, columns }: Weight,
  means: Float32Array,
  gone: readonly Int32Array[],
): Float64Array {
  const bias = new Float64Array(rows);
  for (let row = 0; row < rows; row += 1) {
    for (const set of gone) {
      for (const column of set) bias[row]! += values[row * columns + column]! * means[column]!;
    }
  }
  return bias;
}
