import {
  add,
  concat,
  matMul,
  mul,
  reshape,
  slice,
  softmax,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  tidy,
} from '@tensorflow/tfjs-core';
import { runOperation } from '../kernels.js';

/** Scores made at once, at most, as far as whole key heads go: a fourth of what every GPU can bind. */
const SCORE_BYTES = 2 ** 25;

/**
 * Grouped-query attention: q [b, heads, t, d], k and v [b, kvHeads, t, d], heads a multiple of kvHeads
 * → [b, heads, t, d]. `mask` [t, t] is added to the scores: 0 where a query row may look, a large negative number where not
 * (causal, and outside a sliding window). Source: Vaswani et al. 2017; Ainslie et al. 2023 for the grouping.
 */
export function causalAttention(q: Tensor4D, k: Tensor4D, v: Tensor4D, mask: Tensor2D): Tensor4D {
  return runOperation('birdbone.CausalAttention', { inputs: { q, k, v, mask }, compose: () => compose(q, k, v, mask) });
}

function compose(q: Tensor4D, k: Tensor4D, v: Tensor4D, mask: Tensor2D): Tensor4D {
  const [b, heads, t, d] = q.shape;
  const keyHeads = b * k.shape[1];
  const group = heads / k.shape[1];
  const queries: Tensor3D = reshape(q, [keyHeads, group * t, d]);
  const keys: Tensor3D = reshape(k, [keyHeads, t, d]);
  const values: Tensor3D = reshape(v, [keyHeads, t, d]);
  const headsAtOnce = Math.max(1, Math.floor(SCORE_BYTES / (4 * group * t * t)));
  const mixed: Tensor3D[] = [];
  for (let first = 0; first < keyHeads; first += headsAtOnce) {
    const count = Math.min(headsAtOnce, keyHeads - first);
    const some = (x: Tensor3D) => (count === keyHeads ? x : slice(x, first, count));
    mixed.push(tidy(() => attend(some(queries), some(keys), some(values), mask)));
  }
  return reshape(mixed.length === 1 ? mixed[0]! : concat(mixed, 0), [b, heads, t, d]);
}

/** queries [n, group·t, d], keys and values [n, t, d] → [n, group·t, d]: the heads of a group are rows of one matrix. */
function attend(queries: Tensor3D, keys: Tensor3D, values: Tensor3D, mask: Tensor2D): Tensor3D {
  const [n, rows, d] = queries.shape;
  const t = keys.shape[1];
  const scores = reshape(matMul(queries, keys, false, true), [(n * rows) / t, t, t]);
  const weights = softmax(add(mul(scores, 1 / Math.sqrt(d)), mask), -1);
  return matMul(reshape(weights, [n, rows, t]), values);
}
