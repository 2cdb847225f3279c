import { abs, mul, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import { columnEvidence } from './evidence-checks.js';
import type { ImportanceMetric } from './metric.js';

/**
 * |W_ij| · ‖X_j‖₂: a weight counts as much as the signal that passes through it.
 * Source: Sun et al. 2023, "A Simple and Effective Pruning Approach for Large Language Models", eq. 1.
 */
const wanda: ImportanceMetric = {
  needs: ['norms'],
  // Per-matrix ranking is clearly worse (their section 3): rows differ in scale, and each output needs some of its inputs.
  scope: 'row',
  score(weight, evidence) {
    const norms = columnEvidence('wanda', 'inputNorms', weight, evidence);
    return tidy(() => mul(abs(weight), norms) as Tensor2D);
  },
};

export default wanda;
