import { mul, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import { weightEvidence } from './evidence-checks.js';
import type { ImportanceMetric } from './metric.js';

/**
 * ½ · F_ij · W_ij²: how much the loss rises, to second order, when the weight of a trained model becomes zero, with the
 * diagonal of the empirical Fisher matrix (mean of squared per-window gradients) in place of the Hessian's.
 * Sources: LeCun et al. 1990, "Optimal Brain Damage", eq. 5; Ma et al. 2023, "LLM-Pruner", eq. 5.
 */
const fisher: ImportanceMetric = {
  needs: ['fisher'],
  // An estimate of one loss for the whole model: there is nothing to level out between rows.
  scope: 'layer',
  score(weight, evidence) {
    const diagonal = weightEvidence('fisher', 'fisher', weight, evidence);
    // W · (F · W) rather than W² · F: W² alone leaves single precision sooner.
    return tidy(() => mul(mul(mul(diagonal, weight), weight), 0.5) as Tensor2D);
  },
};

export default fisher;
