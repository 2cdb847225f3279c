/** Merges of a byte-pair encoding by their two parts: the rank, lower first. */
export type MergeRanks = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** The ranks of merges in their order; of a pair that is listed twice the first counts. */
export function mergeRanks(merges: readonly (readonly [string, string])[]): MergeRanks {
  const ranks = new Map<string, Map<string, number>>();
  for (const [rank, [left, right]] of merges.entries()) {
    const byRight = ranks.get(left) ?? new Map<string, number>();
    ranks.set(left, byRight);
    if (!byRight.has(right)) byRight.set(right, rank);
  }
  return ranks;
}

/**
 * Returns every token that byte-pair encoding makes on its way to `token`, its characters and itself included; undefined when
 * merging its characters does not end there, as of a token that is only found whole.
 *
 * A token that a text is encoded to was merged from its own characters in the same order as when it stands alone: no merge
 * reached over its ends, or it would not be there. So keeping these tokens, and the merges between them in their order, leaves
 * the encoding of that text as it was.
 */
export function mergePath(token: string, ranks: MergeRanks): readonly string[] | undefined {
  let parts = [...token];
  const made = new Set(parts);
  while (parts.length > 1) {
    const at = lowestPair(parts, ranks);
    if (at === undefined) return undefined;
    const [left, right] = [parts[at]!, parts[at + 1]!];
    parts = mergeEverywhere(parts, left, right);
    made.add(left + right);
  }
  return [...made];
}

function lowestPair(parts: readonly string[], ranks: MergeRanks): number | undefined {
  let at: number | undefined;
  let lowest = Number.POSITIVE_INFINITY;
  for (let i = 0; i + 1 < parts.length; i += 1) {
    const rank = ranks.get(parts[i]!)?.get(parts[i + 1]!);
    if (rank !== undefined && rank < lowest) [at, lowest] = [i, rank];
  }
  return at;
}

/** The pair merged wherever it stands, from the left. */
function mergeEverywhere(parts: readonly string[], left: string, right: string): string[] {
  const merged: string[] = [];
  for (let i = 0; i < parts.length; i += 1) {
    const isPair = parts[i] === left && parts[i + 1] === right;
    merged.push(isPair ? left + right : parts[i]!);
    if (isPair) i += 1;
  }
  return merged;
}
