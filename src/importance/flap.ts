import { mul, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import { columnEvidence } from './evidence-checks.js';
import type { ImportanceMetric } from './metric.js';

/**
 * Var(X_j) · W_ij²: what cannot be made up for by a constant when a weight goes; its sum over the rows is FLAP's fluctuation
 * of channel j, Var(X_j) · ‖W_:j‖². The variance is that of the column over all tokens, not the reference's, which subtracts
 * the new mean twice; and no role's scores are squared alone. Channels of different layers are compared by `standardScores`.
 * Source: An et al. 2024, "Fluctuation-based Adaptive Structured Pruning for Large Language Models", eq. 4.
 */
const flap: ImportanceMetric = {
  needs: ['moments'],
  // Rows differ in scale, and a channel's sum over rows is what the method ranks.
  scope: 'layer',
  score(weight, evidence) {
    const variances = columnEvidence('flap', 'inputVariances', weight, evidence);
    return tidy(() => mul(mul(weight, variances), weight) as Tensor2D);
  },
};

export default flap;
