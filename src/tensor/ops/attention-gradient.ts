import {
  add,
  div,
  matMul,
  mul,
  reshape,
  softmax,
  square,
  sub,
  sum,
  type Tensor2D,
  type Tensor3D,
  tidy,
} from '@tensorflow/tfjs-core';
import { softcap } from './softcap.js';

export interface AttentionHeads {
  /** [n, group · t, d]: the heads of a group are rows of one matrix. */
  readonly queries: Tensor3D;
  /** [n, t, d], as the values. */
  readonly keys: Tensor3D;
  readonly values: Tensor3D;
}

export interface Scoring {
  /** [t, t], added to the scores. */
  readonly mask: Tensor2D;
  readonly cap: number | undefined;
}

/** softmax(queries · keysᵀ / √d, capped and masked) · values → [n, group · t, d]. */
export function attend({ queries, keys, values }: AttentionHeads, { mask, cap }: Scoring): Tensor3D {
  return tidy(() => matMul(weightsOf(scoresOf({ queries, keys }, cap), mask), values));
}

/** What came out of `attend`, and the gradient with respect to it. */
export interface AttentionResult {
  readonly output: Tensor3D;
  readonly upstream: Tensor3D;
}

/**
 * The gradients by queries, keys and values, from these and the result alone: the weights are made anew. With P the weights, O the
 * output and dO what comes from behind: dV = Pᵀ dO, dS = P ⊙ (dO Vᵀ − rowsum(dO ⊙ O)), dQ = dS K / √d, dK = dSᵀ Q / √d. What is
 * [t, t] is let go of as soon as it was used. Source: Dao et al. 2022, "FlashAttention", appendix B, for the sum by rows of O.
 */
export function attentionGradients(
  { queries, keys, values }: AttentionHeads,
  { mask, cap }: Scoring,
  { output, upstream }: AttentionResult,
): [Tensor3D, Tensor3D, Tensor3D] {
  return tidy(() => {
    const scores = scoresOf({ queries, keys }, cap);
    const weights = weightsOf(scores, mask);
    // d cap·tanh(s / cap) / ds = 1 − tanh².
    const slope = cap === undefined ? undefined : tidy(() => sub(1, square(div(scores, cap))));
    scores.dispose();
    const byValues = matMul(weights, upstream, true, false);
    const byScores = tidy(() => {
      const byWeights = matMul(upstream, values, false, true);
      const means = tidy(() => sum(mul(upstream, output), -1, true));
      const centred = tidy(() => sub(byWeights, means));
      byWeights.dispose();
      const plain = tidy(() => mul(centred, weights));
      return (slope === undefined ? plain : mul(plain, slope)) as Tensor3D;
    });
    weights.dispose();
    // What is [t, t] is not gone through again for a factor that fits what is [t, d].
    const scale = 1 / Math.sqrt(queries.shape[2]);
    const byQueries = tidy(() => mul(matMul(byScores, keys), scale)) as Tensor3D;
    const byKeys = tidy(() => mul(matMul(byScores, queries, true, false), scale)) as Tensor3D;
    return [byQueries, byKeys, byValues as Tensor3D];
  });
}

/** Scores s [n, group · t, t], scaled and capped, before the mask. */
function scoresOf({ queries, keys }: Pick<AttentionHeads, 'queries' | 'keys'>, cap: number | undefined): Tensor3D {
  return tidy(() => {
    const scaled = matMul(mul(queries, 1 / Math.sqrt(queries.shape[2])) as Tensor3D, keys, false, true) as Tensor3D;
    return cap === undefined ? scaled : softcap(scaled, cap);
  });
}

/** softmax(s + mask) [n, group · t, t]. */
function weightsOf(scores: Tensor3D, mask: Tensor2D): Tensor3D {
  const [n, rows, t] = scores.shape;
  return tidy(() => reshape(softmax(add(reshape(scores, [(n * rows) / t, t, t]), mask), -1), [n, rows, t]) as Tensor3D);
}
