import { add, matMul, mul, reshape, softmax, type Tensor2D, type Tensor4D } from '@tensorflow/tfjs-core';
import { runOperation } from '../kernels.js';

/**
 * Grouped-query attention: q [b, heads, t, d], k and v [b, kvHeads, t, d], heads a multiple of kvHeads
 * → [b, heads, t, d]. `mask` [t, t] is added to the scores: 0 where a query row may look, a large negative number where not
 * (causal, and outside a sliding window). Source: Vaswani et al. 2017; Ainslie et al. 2023 for the grouping.
 */
export function causalAttention(q: Tensor4D, k: Tensor4D, v: Tensor4D, mask: Tensor2D): Tensor4D {
  return runOperation('birdbone.CausalAttention', {
    inputs: { q, k, v, mask },
    compose: () => {
      const [b, heads, t, d] = q.shape;
      const kvHeads = k.shape[1];
      const group = heads / kvHeads;
      const grouped = reshape(q, [b * kvHeads, group * t, d]);
      const keys = reshape(k, [b * kvHeads, t, d]);
      const values = reshape(v, [b * kvHeads, t, d]);
      const scores = reshape(matMul(grouped, keys, false, true), [b * kvHeads * group, t, t]);
      const weights = softmax(add(mul(scores, 1 / Math.sqrt(d)), mask), -1);
      const mixed = matMul(reshape(weights, [b * kvHeads, group * t, t]), values);
      return reshape(mixed, [b, heads, t, d]);
    },
  });
}
