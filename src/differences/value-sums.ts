import type { Dtype } from '../tensor/index.js';

/**
 * Sums over pairs of elements, x before and y after, in float64. Pairs with a side that is not finite have counters of their
 * own and are in no other sum.
 */
export interface ValueSums {
  elements: number;
  /** Pairs whose stored bits differ; whose values differ where the two dtypes do, or where blocks share their bits. */
  changed: number;
  zerosBefore: number;
  zerosAfter: number;
  nonFiniteBefore: number;
  nonFiniteAfter: number;
  /** Σx² */
  squaresBefore: number;
  /** Σy² */
  squaresAfter: number;
  /** Σxy */
  products: number;
  /** Σ(y − x)² */
  squaresOfChange: number;
  /** max (y − x)² */
  largestSquare: number;
}

export interface StoredValues {
  readonly dtype: Dtype;
  readonly bytes: Uint8Array;
}

export const NO_SUMS: Readonly<ValueSums> = {
  elements: 0,
  changed: 0,
  zerosBefore: 0,
  zerosAfter: 0,
  nonFiniteBefore: 0,
  nonFiniteAfter: 0,
  squaresBefore: 0,
  squaresAfter: 0,
  products: 0,
  squaresOfChange: 0,
  largestSquare: 0,
};

export function mergeSums(left: ValueSums, right: ValueSums): ValueSums {
  const merged = { ...left };
  for (const key of Object.keys(NO_SUMS) as (keyof ValueSums)[]) merged[key] += right[key];
  merged.largestSquare = Math.max(left.largestSquare, right.largestSquare);
  return merged;
}
