/** What the K-quants share: super-blocks of 256 elements. */
export const SUPER_BLOCK = 256;

const f = Math.fround;

/** Σ x² over a run, in its order. */
export function sumOfSquares(values: Float32Array, at: number, count: number): number {
  let sum = 0;
  for (let i = at; i < at + count; i += 1) sum = f(sum + f(values[i]! * values[i]!));
  return sum;
}

/** An element's error weight: its column's, times the root of the block's spread plus its own square. */
export function errorWeight(x: number, columnWeight: number, spread: number): number {
  return f(columnWeight * f(Math.sqrt(f(spread + f(x * x)))));
}
