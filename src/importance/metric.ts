import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';

/**
 * What a metric may look at besides the weights themselves:
 * - `norms`, `moments`, `abs-means`: of a linear's inputs, per column, over the calibration tokens;
 * - `inverse-hessian`: the diagonal of the inverse of those inputs' damped Gram matrix;
 * - `column-sums`: Σ|W_ij| over all rows, which a row slice cannot know;
 * - `gradient`, `fisher`: of the loss on the calibration text, per weight.
 */
export type EvidenceKind =
  | 'norms'
  | 'moments'
  | 'abs-means'
  | 'inverse-hessian'
  | 'column-sums'
  | 'gradient'
  | 'fisher';

/**
 * What is known about one linear. Fields that belong to a kind are there when the metric needs it. Vectors are [columns];
 * `gradient` and `fisher` are [rows, columns] of the same row slice as the weight.
 */
export interface Evidence {
  /**
   * ‖X_j‖₂ per input column over the calibration tokens. A common factor (root of the mean square instead of the sum)
   * changes nothing, as long as matrices that are compared with each other share it.
   */
  readonly inputNorms?: Tensor1D;
  /** Mean of x_j (`moments`). */
  readonly inputMeans?: Tensor1D;
  /** Variance of x_j, ≥ 0 (`moments`). */
  readonly inputVariances?: Tensor1D;
  /** Mean of |x_j| (`abs-means`). */
  readonly inputAbsMeans?: Tensor1D;
  /** Σ_i |W_ij| over all rows of the matrix (`column-sums`). */
  readonly columnAbsSums?: Tensor1D;
  /**
   * [(H + damping)⁻¹]_jj for H = (2/T) Σ x xᵀ over T tokens, positive; 0 for an input that was always zero, whose weights
   * do nothing (`inverse-hessian`).
   */
  readonly inverseHessianDiagonal?: Tensor1D;
  /** dL/dW, L = mean next-token cross-entropy over the calibration tokens (`gradient`). */
  readonly gradient?: Tensor2D;
  /** (1/N) Σ_n (dL_n/dW)² over N single windows (`fisher`). */
  readonly fisher?: Tensor2D;
}

/** Scores weights: larger = keep. Pure: tensors in, tensors out, input never modified. */
export interface ImportanceMetric {
  /** The evidence without which `score` cannot work; empty for a metric of the weights alone. */
  readonly needs: readonly EvidenceKind[];
  /** The weights among which the published method ranks: those of one output row, or of one matrix. The default of `compare`. */
  readonly scope: 'row' | 'layer';
  /**
   * weight [rows, columns] (a row slice of the matrix is enough) → scores of the same shape, ≥ 0, finite where weight and
   * evidence are. The caller disposes of the result.
   */
  score(weight: Tensor2D, evidence: Evidence): Tensor2D;
}

/** Whether a metric looks at what a text does in the model: without one, it can tell nothing. */
export function needsText(metric: Pick<ImportanceMetric, 'needs'>): boolean {
  return metric.needs.some((kind) => kind !== 'column-sums');
}
