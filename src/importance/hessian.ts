import { abs, divNoNan, mul, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import { columnEvidence } from './evidence-checks.js';
import type { ImportanceMetric } from './metric.js';

/**
 * W_ij² / (2 · [H⁻¹]_jj), H = (2/T) X Xᵀ + damping: how much the mean squared error of output i rises when the weight becomes
 * zero and the row's other weights make up for it as well as they can. The factor ½ is kept, though no ranking changes with
 * it, because the score then is that error, and errors of rows add up. An input that was always zero scores 0.
 * Source: Hassibi & Stork 1993, "Optimal Brain Surgeon", eq. 5, with the layer's output error as in Frantar & Alistarh 2023.
 */
const hessian: ImportanceMetric = {
  needs: ['inverse-hessian'],
  // One H for all rows; as for Wanda, each output needs some of its inputs.
  scope: 'row',
  score(weight, evidence) {
    const diagonal = columnEvidence('hessian', 'inverseHessianDiagonal', weight, evidence);
    return tidy(() => {
      const magnitude = abs(weight);
      // W · (W / d) rather than W² / d: W² alone leaves single precision sooner.
      return mul(magnitude, divNoNan(magnitude, mul(diagonal, 2))) as Tensor2D;
    });
  },
};

export default hessian;
