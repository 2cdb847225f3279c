import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';

/** Calibration evidence about one linear's inputs. */
export interface Evidence {
  /** ‖X_j‖₂ per input column, [columns]; mean of squares over tokens or its multiple: only ratios within a matrix count. */
  readonly inputNorms?: Tensor1D;
}

/** Scores weights: larger = keep. Pure: tensors in, tensors out, input never modified. */
export interface ImportanceMetric {
  readonly needs: 'weights' | 'activations';
  /** weight [rows, columns] (a row slice of the matrix is enough) → scores of the same shape, finite and ≥ 0. */
  score(weight: Tensor2D, evidence: Evidence): Tensor2D;
}
