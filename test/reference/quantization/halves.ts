import { multiply } from '../forward.js';
import type { LinearName, ReferenceModel, Weight } from '../load.js';

/** The two halves of a Llama block in float64, each as a function of its normed input: what AWQ's search looks at. */

type Linears = Readonly<Record<LinearName, Weight>>;

/** normed [tokens, hidden] of one sequence → what attention adds to the residual stream. */
export function attentionHalf(
  model: ReferenceModel,
  linears: Linears,
  normed: Float64Array,
  product = multiply,
): Float64Array {
  const { heads, kvHeads, headDim: d } = model;
  const tokens = normed.length / model.hidden;
  const q = turned(product(normed, linears.q), heads, model);
  const k = turned(product(normed, linears.k), kvHeads, model);
  const v = product(normed, linears.v);
  const mixed = new Float64Array(q.length);
  for (let head = 0; head < heads; head++) {
    const shared = Math.floor((head * kvHeads) / heads);
    for (let t = 0; t < tokens; t++) {
      const scores = Float64Array.from({ length: t + 1 }, (_, s) => {
        let dot = 0;
        for (let i = 0; i < d; i++) dot += q[(t * heads + head) * d + i]! * k[(s * kvHeads + shared) * d + i]!;
        return Math.exp(dot / Math.sqrt(d));
      });
      const total = scores.reduce((sum, score) => sum + score, 0);
      for (let s = 0; s <= t; s++) {
        const share = scores[s]! / total;
        for (let i = 0; i < d; i++) mixed[(t * heads + head) * d + i]! += share * v[(s * kvHeads + shared) * d + i]!;
      }
    }
  }
  return product(mixed, linears.o);
}

/** normed [tokens, hidden] → what the FFN adds. */
export function feedForwardHalf(linears: Linears, normed: Float64Array, product = multiply): Float64Array {
  const gate = product(normed, linears.gate);
  const inner = product(normed, linears.up).map((value, i) => (value * gate[i]!) / (1 + Math.exp(-gate[i]!)));
  return product(inner, linears.down);
}

/** The pairs (i, i + d/2) of each head turned by position · θ^(−2i/d). */
function turned(x: Float64Array, heads: number, { headDim: d, ropeTheta }: ReferenceModel): Float64Array {
  return x.map((value, at) => {
    const position = Math.floor(at / (heads * d));
    const i = at % d;
    const pair = i % (d / 2);
    const angle = position * ropeTheta ** ((-2 * pair) / d);
    const other = i < d / 2 ? -x[at + d / 2]! : x[at - d / 2]!;
    return value * Math.cos(angle) + other * Math.sin(angle);
  });
}
