/** What the K-quants share: super-blocks of 256 elements. */
export const SUPER_BLOCK = 256;

const f = Math.fround;

/** Σ x² over a run, in its order. */
export function sumOfSquares(values: Float32Array, at: number, count: number): number {
  let sum = 0;
  for (let i = at; i < at + count; i += 1) sum = f(sum + f(values[i]! * values[i]!));
  return sum;
}

/**
 * Writes the error weights of a block's elements: each column's, times √(spread + x²), where the spread is `spreadFactor` times the
 * block's mean square.
 */
export function weighErrors(
  errorWeights: Float32Array,
  row: Float32Array,
  block: number,
  { weights, spreadFactor }: { readonly weights: Float32Array; readonly spreadFactor: 1 | 2 },
): void {
  const spread = f(f(spreadFactor * sumOfSquares(row, block, SUPER_BLOCK)) / SUPER_BLOCK);
  for (let i = 0; i < SUPER_BLOCK; i += 1) {
    const x = row[block + i]!;
    errorWeights[i] = f(weights[block + i]! * f(Math.sqrt(f(spread + f(x * x)))));
  }
}
