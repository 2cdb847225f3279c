import { abs, add, divNoNan, mul, sqrt, sum, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import { columnEvidence } from './evidence-checks.js';
import type { ImportanceMetric } from './metric.js';

/**
 * (|W_ij| / Σ_k|W_kj| + |W_ij| / Σ_k|W_ik|) · ‖X_j‖₂^½: a weight counts by its share of what its input gives and of what its
 * output gets, so that no channel loses all of its weights. The exponent ½ damps the few inputs that are hundreds of times
 * larger than the others. A row or column of nothing but zeros scores 0.
 * Source: Zhang et al. 2024, "Plug-and-Play: An Efficient Post-training Pruning Method for Large Language Models", eq. 3–5,
 * with their a = 0.5.
 */
const ria: ImportanceMetric = {
  needs: ['norms', 'column-sums'],
  // Shares are comparable between rows already, and still each output needs some of its inputs: as for Wanda.
  scope: 'row',
  score(weight, evidence) {
    const norms = columnEvidence('ria', 'inputNorms', weight, evidence);
    const columnSums = columnEvidence('ria', 'columnAbsSums', weight, evidence);
    return tidy(() => {
      const magnitude = abs(weight);
      const rowSums = sum(magnitude, 1, true);
      const relative = add(divNoNan(magnitude, columnSums), divNoNan(magnitude, rowSums));
      return mul(relative, sqrt(norms)) as Tensor2D;
    });
  },
};

export default ria;
