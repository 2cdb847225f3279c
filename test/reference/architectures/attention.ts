export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** What q·k is multiplied with. */
  readonly scale: number;
  /** Tokens that a query sees, itself included. */
  readonly window?: number | undefined;
  /** c of c·tanh(score / c), before the mask. */
  readonly softcap?: number | undefined;
}

/**
 * Causal attention of one sequence with nothing before it (Vaswani et al. 2017; grouped as Ainslie et al. 2023): q [t][heads ·
 * headDim], k and v [t][kvHeads · headDim] → [t][heads · headDim], heads concatenated.
 */
export function attend(q: Float64Array[], k: Float64Array[], v: Float64Array[], shape: AttentionShape): Float64Array[] {
  const { heads, kvHeads, headDim, scale, window = Infinity, softcap } = shape;
  return q.map((query, t) => {
    const output = new Float64Array(heads * headDim);
    for (let head = 0; head < heads; head++) {
      const kv = Math.floor(head / (heads / kvHeads)) * headDim;
      const first = Math.max(0, t - window + 1);
      const scores: number[] = [];
      for (let s = first; s <= t; s++) {
        let dot = 0;
        for (let i = 0; i < headDim; i++) dot += query[head * headDim + i]! * k[s]![kv + i]!;
        const score = dot * scale;
        scores.push(softcap === undefined ? score : softcap * Math.tanh(score / softcap));
      }
      softmax(scores).forEach((weight, j) => {
        for (let i = 0; i < headDim; i++) output[head * headDim + i]! += weight * v[first + j]![kv + i]!;
      });
    }
    return output;
  });
}

export function softmax(scores: readonly number[]): number[] {
  const largest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - largest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
