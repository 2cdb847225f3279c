import { cast, mul, notEqual, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import { columnEvidence } from './evidence-checks.js';
import type { ImportanceMetric } from './metric.js';

/**
 * mean|X_j| for every weight of column j that is not zero: a weight counts as much as the channel that it reads, whatever its
 * own size. For `down` the columns are FFN channels, for `o` those of the query heads, for q, k, v, gate and up the hidden
 * dimensions; the weights that produce a channel (a row of gate, say) are scored by what they read themselves. The ranking is
 * one of channels: taken weight by weight, it empties whole columns.
 * Source: Muralidharan et al. 2024, "Compact Language Models via Pruning and Knowledge Distillation" (Minitron), section 2.2,
 * with the mean for both aggregations.
 */
const activation: ImportanceMetric = {
  needs: ['abs-means'],
  // All rows of a matrix read the same channels: among rows there is nothing to compare.
  scope: 'layer',
  score(weight, evidence) {
    const means = columnEvidence('activation', 'inputAbsMeans', weight, evidence);
    // What is zero already must rank below what is not, or a wave would spend its target on other weights.
    return tidy(() => mul(cast(notEqual(weight, 0), 'float32'), means) as Tensor2D);
  },
};

export default activation;
