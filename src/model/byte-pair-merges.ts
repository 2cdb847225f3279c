/** Returns the tokens that byte-pair encoding leaves of a text, in order. */
export type MergeText = (text: string) => string[];

/**
 * Returns byte-pair encoding (Sennrich et al. 2016) by the given merges, best first: among the neighbours that a merge
 * joins, the best merge's leftmost pair is joined, until none is left. Each merge is a pair of pieces. O(n log n) time
 * and a few dozen bytes per character, so that a whole file can be one text.
 */
export function mergeByRank(merges: readonly (readonly [string, string])[]): MergeText {
  const symbols = new Symbols();
  const ranks = new Map<number, number>();
  const joined = new Int32Array(merges.length);
  const pairs = merges.map(([left, right]) => [symbols.of(left), symbols.of(right)] as const);
  pairs.forEach(([left, right], rank) => {
    // A pair that is listed twice counts where it stands last, as in the reference implementations.
    ranks.set(pairKey(left, right), rank);
    joined[rank] = symbols.of(symbols.text(left) + symbols.text(right));
  });
  const rankOf = (left: number, right: number) => ranks.get(pairKey(left, right));
  return (text) => mergeSymbols([...text], symbols, rankOf, joined);
}

/** Below 2^53 for up to 2^26 symbols, so that two of them make one exact number. */
function pairKey(left: number, right: number): number {
  return left * 2 ** 26 + right;
}

/** Strings as small integers. */
class Symbols {
  readonly #ids = new Map<string, number>();
  readonly #texts: string[] = [];

  of(text: string): number {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    this.#ids.set(text, this.#texts.length);
    return this.#texts.push(text) - 1;
  }

  text(symbol: number): string {
    return this.#texts[symbol]!;
  }
}

function mergeSymbols(
  characters: readonly string[],
  symbols: Symbols,
  rankOf: (left: number, right: number) => number | undefined,
  joined: Int32Array,
): string[] {
  const count = characters.length;
  const symbolAt = Int32Array.from(characters, (character) => symbols.of(character));
  // A doubly linked list of the positions that are still there; `count` and −1 are the ends.
  const next = Int32Array.from({ length: count }, (_, i) => i + 1);
  const previous = Int32Array.from({ length: count }, (_, i) => i - 1);
  const queue = new SmallestFirst(2 * count);
  const rankAt = (i: number) => (next[i]! < count ? rankOf(symbolAt[i]!, symbolAt[next[i]!]!) : undefined);
  const enqueue = (i: number) => {
    const rank = rankAt(i);
    if (rank !== undefined) queue.push(rank * count + i);
  };
  for (let i = 0; i < count; i++) enqueue(i);
  for (let best = queue.pop(); best !== undefined; best = queue.pop()) {
    const i = best % count;
    const rank = (best - i) / count;
    // What stood here when this was queued may have been merged since.
    if (symbolAt[i] === GONE || rankAt(i) !== rank) continue;
    const absorbed = next[i]!;
    symbolAt[i] = joined[rank]!;
    symbolAt[absorbed] = GONE;
    next[i] = next[absorbed]!;
    if (next[i]! < count) previous[next[i]!] = i;
    if (previous[i]! >= 0) enqueue(previous[i]!);
    enqueue(i);
  }
  return [...symbolAt].filter((symbol) => symbol !== GONE).map((symbol) => symbols.text(symbol));
}

const GONE = -1;

/** A binary heap of numbers. */
class SmallestFirst {
  readonly #heap: Float64Array;
  #size = 0;

  constructor(capacity: number) {
    this.#heap = new Float64Array(capacity);
  }

  push(value: number): void {
    const heap = this.#heap;
    let at = this.#size++;
    while (at > 0) {
      const parent = Math.floor((at - 1) / 2);
      if (heap[parent]! <= value) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = value;
  }

  pop(): number | undefined {
    const heap = this.#heap;
    if (this.#size === 0) return undefined;
    const smallest = heap[0]!;
    const last = heap[--this.#size]!;
    let at = 0;
    for (let child = 1; child < this.#size; child = 2 * at + 1) {
      if (child + 1 < this.#size && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= last) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return smallest;
  }
}
