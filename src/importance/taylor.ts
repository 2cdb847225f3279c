import { abs, mul, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import { weightEvidence } from './evidence-checks.js';
import type { ImportanceMetric } from './metric.js';

/**
 * |g_ij · W_ij|: how much the loss changes, to first order, when the weight becomes zero. Sums over weights that go together
 * stay estimates of the loss; where a model is trained to the end, gradients are small and noisy, and many windows are needed.
 * Source: Molchanov et al. 2019, "Importance Estimation for Neural Network Pruning", eq. 7, without their square.
 */
const taylor: ImportanceMetric = {
  needs: ['gradient'],
  // An estimate of one loss for the whole model: there is nothing to level out between rows.
  scope: 'layer',
  score(weight, evidence) {
    const gradient = weightEvidence('taylor', 'gradient', weight, evidence);
    return tidy(() => abs(mul(gradient, weight)) as Tensor2D);
  },
};

export default taylor;
