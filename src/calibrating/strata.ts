import type { Candidate } from './pool.js';
import { fairShares } from './shares.js';

/** Classes of length, as parts of the context that a passage fills. */
export const LENGTH_CLASSES = ['to a quarter', 'to a half', 'below the whole', 'the whole'] as const;

/** Index in `LENGTH_CLASSES` of a passage of so many tokens. */
export function lengthClass(tokens: number, context: number): number {
  if (tokens >= context) return 3;
  if (tokens > context / 2) return 2;
  return tokens > context / 4 ? 1 : 0;
}

/** Passages of one source and one class of length, and the tokens that the set is to have of them. */
export interface Stratum {
  readonly source: number;
  readonly lengthClass: number;
  /** Indices of candidates. */
  readonly members: readonly number[];
  readonly quota: number;
}

/**
 * Divides a budget of tokens evenly over the sources, and each source's share evenly over the classes of length that it has. Who has
 * too little leaves the rest to the others.
 */
export function strataOf(
  candidates: readonly Candidate[],
  { sources, context, budget }: { readonly sources: number; readonly context: number; readonly budget: number },
): Stratum[] {
  const members: number[][][] = Array.from({ length: sources }, () => LENGTH_CLASSES.map(() => []));
  for (const [index, { source, ids }] of candidates.entries()) {
    members[source]![lengthClass(ids.length, context)]!.push(index);
  }
  const tokens = members.map((classes) => classes.map((indices) => tokensOf(candidates, indices)));
  const shares = fairShares(tokens.map(sum), budget);
  return members.flatMap((classes, source) => {
    const quotas = fairShares(tokens[source]!, shares[source]!);
    return classes.map((indices, index) => ({ source, lengthClass: index, members: indices, quota: quotas[index]! }));
  });
}

export function tokensOf(candidates: readonly Candidate[], indices: readonly number[]): number {
  return sum(indices.map((index) => candidates[index]!.ids.length));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
