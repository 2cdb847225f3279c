import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';

/** Calibration evidence about one linear's inputs. */
export interface Evidence {
  /**
   * ‖X_j‖₂ per input column, [columns], over the calibration tokens. A common factor (root of the mean square instead of the
   * sum) changes nothing, as long as matrices that are compared with each other share it.
   */
  readonly inputNorms?: Tensor1D;
}

/** Scores weights: larger = keep. Pure: tensors in, tensors out, input never modified. */
export interface ImportanceMetric {
  readonly needs: 'weights' | 'activations';
  /** The weights among which the published method ranks: those of one output row, or of one matrix. The default of `compare`. */
  readonly scope: 'row' | 'layer';
  /**
   * weight [rows, columns] (a row slice of the matrix is enough) → scores of the same shape, ≥ 0, finite where weight and
   * evidence are. The caller disposes of the result.
   */
  score(weight: Tensor2D, evidence: Evidence): Tensor2D;
}
