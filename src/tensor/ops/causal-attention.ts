import {
  concat,
  customGrad,
  engine,
  mul,
  reshape,
  slice,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  tidy,
} from '@tensorflow/tfjs-core';
import { TFJS_BACKENDS } from '../device.js';
import { runOperation } from '../kernels.js';
import { type AttentionHeads, attend, attentionGradients } from './attention-gradient.js';

/** Scores made at once, at most, as far as whole key heads go: a fourth of what every GPU can bind. */
const SCORE_BYTES = 2 ** 25;
/** The same of a gradient on a CPU: what goes through them six times is to stay in a core's cache. */
const CACHED_SCORE_BYTES = 2 ** 20;

export interface AttentionOptions {
  /** What query · key is multiplied by; 1 / √d unless given. */
  readonly scale?: number | undefined;
  /** Scores s become cap · tanh(s / cap) before the mask is added. */
  readonly softcap?: number | undefined;
  /**
   * Says that the mask is the causal one in which a query sees itself and window − 1 keys before it (t or more: all of them), so
   * that a device need not look at it, nor at the keys that it hides.
   */
  readonly window?: number | undefined;
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
  { scale, softcap: cap, window }: AttentionOptions = {},
): Tensor4D {
  return tidy(() => {
    // Kernels divide by √d; another scale goes into the queries.
    const scaled = scale === undefined ? q : mul<Tensor4D>(q, scale * Math.sqrt(q.shape[3]));
    const inputs = { q: scaled, k, v, mask };
    const scoring = { cap, window };
    return engine().isTapeOn() ? attentionWithGradient(inputs, scoring) : forward(inputs, scoring);
  });
}

interface AttentionInputs {
  readonly q: Tensor4D;
  readonly k: Tensor4D;
  readonly v: Tensor4D;
  readonly mask: Tensor2D;
}

interface Scores {
  readonly cap: number | undefined;
  readonly window: number | undefined;
}

/** Capped attention is an operation of its own, as the kernels of most devices cap nothing. */
function forward(inputs: AttentionInputs, { cap, window }: Scores): Tensor4D {
  return runOperation(cap === undefined ? 'birdbone.CausalAttention' : 'birdbone.CappedCausalAttention', {
    inputs: { ...inputs },
    attributes: { ...(cap !== undefined && { cap }), ...(window !== undefined && { window }) },
    compose: () => compose(inputs, cap),
  });
}

/**
 * With a gradient of its own, which keeps inputs and output alone and makes the weights anew: a tape through the parts would keep
 * everything of [t, t] for all heads until the end.
 */
function attentionWithGradient({ q, k, v, mask }: AttentionInputs, scores: Scores): Tensor4D {
  const operation = customGrad<Tensor4D>((...given) => {
    const [queries, keys, values, save] = given as [Tensor4D, Tensor4D, Tensor4D, (tensors: Tensor[]) => void];
    const value = forward({ q: queries, k: keys, v: values, mask }, scores);
    // The mask too: it may be gone by the time of the backward pass.
    save([queries, keys, values, mask, value]);
    const gradFunc = (upstream: Tensor4D, saved: unknown) => {
      const [q, k, v, mask, output] = saved as [Tensor4D, Tensor4D, Tensor4D, Tensor2D, Tensor4D];
      return gradients({ q, k, v, mask }, scores.cap, { output, upstream });
    };
    return { value, gradFunc };
  });
  return operation(q, k, v);
}

function compose(inputs: AttentionInputs, cap?: number): Tensor4D {
  const { q, mask } = inputs;
  const mixed = forKeyHeads(inputs, SCORE_BYTES, (heads) => [attend(heads(inputs), { mask, cap })]);
  return reshape(mixed[0]!, q.shape) as Tensor4D;
}

function gradients(
  inputs: AttentionInputs,
  cap: number | undefined,
  { output, upstream }: { readonly output: Tensor4D; readonly upstream: Tensor4D },
): Tensor4D[] {
  const { q, k, v, mask } = inputs;
  const bytes = engine().backendName === TFJS_BACKENDS.cpu ? CACHED_SCORE_BYTES : SCORE_BYTES;
  const found = forKeyHeads(inputs, bytes, (heads) =>
    attentionGradients(
      heads(inputs),
      { mask, cap },
      {
        output: heads({ ...inputs, q: output }).queries,
        upstream: heads({ ...inputs, q: upstream }).queries,
      },
    ),
  );
  return [q, k, v].map(({ shape }, i) => reshape(found[i]!, shape) as Tensor4D);
}

/** Calls `use` with a way to take a few key heads and the queries that share them out of tensors, and joins what it gives. */
function forKeyHeads(
  { q, k }: AttentionInputs,
  scoreBytes: number,
  use: (heads: (inputs: AttentionInputs) => AttentionHeads) => Tensor3D[],
): Tensor3D[] {
  const [b, heads, t, d] = q.shape;
  const keyHeads = b * k.shape[1];
  const group = heads / k.shape[1];
  const headsAtOnce = Math.max(1, Math.floor(scoreBytes / (4 * group * t * t)));
  const found: Tensor3D[][] = [];
  for (let first = 0; first < keyHeads; first += headsAtOnce) {
    const count = Math.min(headsAtOnce, keyHeads - first);
    const some = (x: Tensor4D, rows: number) => {
      const all: Tensor3D = reshape(x, [keyHeads, rows, d]);
      return count === keyHeads ? all : slice(all, first, count);
    };
    found.push(
      tidy(() => use((of) => ({ queries: some(of.q, group * t), keys: some(of.k, t), values: some(of.v, t) }))),
    );
  }
  return found[0]!.map((one, i) =>
    found.length === 1
      ? one
      : concat(
          found.map((parts) => parts[i]!),
          0,
        ),
  );
}
