import {
  add,
  customGrad,
  div,
  matMul,
  mul,
  reshape,
  softmax,
  square,
  sub,
  sum,
  type Tensor,
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

/**
 * As `attend`, with a gradient of its own: it keeps queries, keys and values and makes the weights anew. A tape through the parts
 * would keep everything of [t, t] for all heads until the end.
 */
export function attendWithGradient(heads: AttentionHeads, scoring: Scoring): Tensor3D {
  const operation = customGrad<Tensor3D>((...inputs) => {
    const [queries, keys, values, save] = inputs as [Tensor3D, Tensor3D, Tensor3D, (tensors: Tensor[]) => void];
    // The mask too: it may be gone by the time of the backward pass.
    save([queries, keys, values, scoring.mask]);
    const gradFunc = (upstream: Tensor3D, saved: unknown) => {
      const [q, k, v, mask] = saved as [Tensor3D, Tensor3D, Tensor3D, Tensor2D];
      return gradients({ queries: q, keys: k, values: v }, { ...scoring, mask }, upstream);
    };
    return { value: attend({ queries, keys, values }, scoring), gradFunc };
  });
  return operation(heads.queries, heads.keys, heads.values);
}

/** Scores s [n, group · t, t], scaled and capped, before the mask. */
function scoresOf({ queries, keys }: Pick<AttentionHeads, 'queries' | 'keys'>, cap: number | undefined): Tensor3D {
  return tidy(() => {
    const scaled = mul(matMul(queries, keys, false, true), 1 / Math.sqrt(queries.shape[2])) as Tensor3D;
    return cap === undefined ? scaled : softcap(scaled, cap);
  });
}

/** softmax(s + mask) [n, group · t, t]. */
function weightsOf(scores: Tensor3D, mask: Tensor2D): Tensor3D {
  const [n, rows, t] = scores.shape;
  return tidy(() => reshape(softmax(add(reshape(scores, [(n * rows) / t, t, t]), mask), -1), [n, rows, t]) as Tensor3D);
}

/**
 * With P the weights and dO what comes from behind: dV = Pᵀ dO, dS = P ⊙ (dO Vᵀ − rowsum(P ⊙ dO Vᵀ)), dQ = dS K / √d,
 * dK = dSᵀ Q / √d. What is [t, t] is let go of as soon as it was used.
 */
function gradients({ queries, keys, values }: AttentionHeads, { mask, cap }: Scoring, upstream: Tensor3D): Tensor3D[] {
  return tidy(() => {
    const scores = scoresOf({ queries, keys }, cap);
    const weights = weightsOf(scores, mask);
    // d cap·tanh(s / cap) / ds = 1 − tanh².
    const slope = cap === undefined ? undefined : tidy(() => sub(1, square(div(scores, cap))));
    scores.dispose();
    const byValues = matMul(weights, upstream, true, false);
    const byScores = tidy(() => {
      const byWeights = matMul(upstream, values, false, true);
      const means = tidy(() => sum(mul(byWeights, weights), -1, true));
      const centred = tidy(() => sub(byWeights, means));
      byWeights.dispose();
      const plain = tidy(() => mul(mul(centred, weights), 1 / Math.sqrt(queries.shape[2])));
      return (slope === undefined ? plain : mul(plain, slope)) as Tensor3D;
    });
    weights.dispose();
    return [matMul(byScores, keys), matMul(byScores, queries, true, false), byValues] as Tensor3D[];
  });
}
