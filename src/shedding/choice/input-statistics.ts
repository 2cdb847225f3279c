import type { Gram } from '../../solvers/index.js';
import type { Compensation } from './column-sets.js';

/** What calibration showed of a linear's inputs. */
export interface InputStatistics {
  /** Σ x xᵀ. */
  readonly gram: Gram;
  readonly tokens: number;
  /** E[x_j], where a bias is to stand for it. */
  readonly means?: Float32Array;
}

/** The Gram matrix that removals are judged by: where a bias stands for the means, the one about them. */
export function judgedBy({ gram, tokens, means }: InputStatistics, compensation: Compensation): Gram {
  if (compensation !== 'flap') return gram;
  if (means === undefined) throw new RangeError('a bias needs the means of the inputs');
  return centred(gram, means, tokens);
}

/**
 * Σ (x − μ)(x − μ)ᵀ = G − n μ μᵀ. On the diagonal that is n Var(x_j), and what removing a single column costs FLAP's fluctuation,
 * Var(x_j) ‖W_j‖². Source: An et al. 2024, "Fluctuation-based Adaptive Structured Pruning", section 3.
 */
export function centred({ values, columns }: Gram, means: Float32Array, tokens: number): Gram {
  const result = new Float32Array(values.length);
  for (let row = 0; row < columns; row += 1) {
    const scaled = tokens * means[row]!;
    for (let column = 0; column < columns; column += 1) {
      const at = row * columns + column;
      const value = values[at]! - scaled * means[column]!;
      // What rounding leaves of a variance of 0 is no variance.
      result[at] = row === column ? Math.max(0, value) : value;
    }
  }
  return { values: result, columns };
}
