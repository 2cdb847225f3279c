import {
  concat,
  engine,
  mul,
  reshape,
  slice,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  tidy,
} from '@tensorflow/tfjs-core';
import { runOperation } from '../kernels.js';
import { attend, attendWithGradient } from './attention-gradient.js';

/** Scores made at once, at most, as far as whole key heads go: a fourth of what every GPU can bind. */
const SCORE_BYTES = 2 ** 25;

export interface AttentionOptions {
  /** What query · key is multiplied by; 1 / √d unless given. */
  readonly scale?: number | undefined;
  /** Scores s become cap · tanh(s / cap) before the mask is added. */
  readonly softcap?: number | undefined;
}

/**
 * Grouped-query attention: q [b, heads, t, d], k and v [b, kvHeads, t, d], heads a multiple of kvHeads
 * → [b, heads, t, d]. `mask` [t, t] is added to the scores: 0 where a query row may look, a large negative number where not
 * (causal, and outside a sliding window). Source: Vaswani et al. 2017; Ainslie et al. 2023 for the grouping.
 */
export function causalAttention(
  q: Tensor4D,
  k: Tensor4D,
  v: Tensor4D,
  mask: Tensor2D,
  { scale, softcap: cap }: AttentionOptions = {},
): Tensor4D {
  return tidy(() => {
    // Kernels divide by √d; another scale goes into the queries.
    const scaled = scale === undefined ? q : mul<Tensor4D>(q, scale * Math.sqrt(q.shape[3]));
    // No kernel caps scores.
    if (cap !== undefined) return compose({ q: scaled, k, v, mask }, cap);
    return runOperation('birdbone.CausalAttention', {
      inputs: { q: scaled, k, v, mask },
      compose: () => compose({ q: scaled, k, v, mask }),
    });
  });
}

interface AttentionInputs {
  readonly q: Tensor4D;
  readonly k: Tensor4D;
  readonly v: Tensor4D;
  readonly mask: Tensor2D;
}

function compose({ q, k, v, mask }: AttentionInputs, cap?: number): Tensor4D {
  const [b, heads, t, d] = q.shape;
  const keyHeads = b * k.shape[1];
  const group = heads / k.shape[1];
  const queries: Tensor3D = reshape(q, [keyHeads, group * t, d]);
  const keys: Tensor3D = reshape(k, [keyHeads, t, d]);
  const values: Tensor3D = reshape(v, [keyHeads, t, d]);
  const headsAtOnce = Math.max(1, Math.floor(SCORE_BYTES / (4 * group * t * t)));
  const attendNow = engine().isTapeOn() ? attendWithGradient : attend;
  const mixed: Tensor3D[] = [];
  for (let first = 0; first < keyHeads; first += headsAtOnce) {
    const count = Math.min(headsAtOnce, keyHeads - first);
    const some = (x: Tensor3D) => (count === keyHeads ? x : slice(x, first, count));
    mixed.push(
      tidy(() => attendNow({ queries: some(queries), keys: some(keys), values: some(values) }, { mask, cap })),
    );
  }
  return reshape(mixed.length === 1 ? mixed[0]! : concat(mixed, 0), [b, heads, t, d]);
}
