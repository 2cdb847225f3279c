import type { Experts } from './decoder.js';

/** The tokens that go through one expert, by row, and how much of its result each of them takes. */
export interface Route {
  readonly rows: Int32Array;
  readonly shares: Float32Array;
}

/**
 * Returns each expert's tokens: of `rows` of the router's logits [n, count], those that have it among their `perToken` likeliest;
 * of equal ones the first. A token's shares are the softmax over its own experts alone. Source: Jiang et al. 2024, "Mixtral of
 * Experts", and transformers, modeling_mixtral.py (`MixtralTopKRouter`).
 */
export function routesOf(logits: ArrayLike<number>, { count, perToken }: Experts, rows: Int32Array): Route[] {
  const found = Array.from({ length: count }, () => ({ rows: [] as number[], shares: [] as number[] }));
  for (const row of rows) {
    const of = (expert: number) => logits[row * count + expert]!;
    const chosen = found
      .map((_, expert) => expert)
      .sort((a, b) => of(b) - of(a) || a - b)
      .slice(0, perToken);
    const weights = chosen.map((expert) => Math.exp(of(expert) - of(chosen[0]!)));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    chosen.forEach((expert, i) => {
      // A shed expert, whose logit is far below the others: too few are left.
      if (weights[i] === 0) return;
      found[expert]!.rows.push(row);
      found[expert]!.shares.push(weights[i]! / total);
    });
  }
  return found.map((route) => ({ rows: Int32Array.from(route.rows), shares: Float32Array.from(route.shares) }));
}
