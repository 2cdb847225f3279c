/** One way to store something: what it takes and what it costs the model. */
export interface Choice {
  readonly bytes: number;
  /** What is to be kept small, summed over everything that is chosen. */
  readonly error: number;
}

/** Room is counted in this many parts of the budget; what rounding to them leaves unused is given out at the end. */
const PARTS = 32_768;

/**
 * For each of `items` the place of the choice that it gets: the least sum of errors whose bytes are within `budgetBytes`, to one part
 * in 32,768 for each item, and at least `leastBytes` where choices come to so many of which none takes more and loses more than another. undefined where even the smallest choices take
 * more. Of equal sums the one with fewer bytes; deterministic.
 *
 * The multiple-choice knapsack problem by dynamic programming over room (Kellerer, Pferschy & Pisinger 2004, section 11.5).
 */
export function fitChoices(
  items: readonly (readonly Choice[])[],
  budgetBytes: number,
  leastBytes = 0,
): number[] | undefined {
  const least = items.reduce((sum, choices) => sum + Math.min(...choices.map(({ bytes }) => bytes)), 0);
  if (least > budgetBytes) return undefined;
  const unit = Math.max(1, budgetBytes / PARTS);
  // What is above the smallest choice takes room; the smallest of all have theirs already, without being rounded.
  const room = Math.floor((budgetBytes - least) / unit);
  const sizes = items.map((choices) => {
    const smallest = Math.min(...choices.map(({ bytes }) => bytes));
    return choices.map((choice) =>
      isBeaten(choice, choices) ? Number.POSITIVE_INFINITY : Math.ceil((choice.bytes - smallest) / unit),
    );
  });
  const from = Math.min(room, Math.max(0, Math.ceil((leastBytes - least) / unit)));
  const taken = bestTaken(items, sizes, { from, room });
  return givenOut(items, taken, budgetBytes);
}

/** Whether another choice loses less and takes no more: that one is taken even where there are bytes to spend. */
function isBeaten({ bytes, error }: Choice, choices: readonly Choice[]): boolean {
  return choices.some((other) => other.error < error && other.bytes <= bytes);
}

/** The choices of least error that take `from` to `room` units; where there are none, within `room`. */
function bestTaken(
  items: readonly (readonly Choice[])[],
  sizes: readonly (readonly number[])[],
  { from, room }: { readonly from: number; readonly room: number },
): number[] {
  // Of so many units, not one more or less.
  let best = new Float64Array(room + 1).fill(Number.POSITIVE_INFINITY);
  best[0] = 0;
  const picks = items.map((choices, item) => {
    const next = new Float64Array(room + 1).fill(Number.POSITIVE_INFINITY);
    const pick = new Uint8Array(room + 1);
    for (const [place, { error }] of choices.entries()) {
      const size = sizes[item]![place]!;
      for (let at = size; at <= room; at += 1) {
        const sum = best[at - size]! + error;
        if (sum < next[at]!) {
          next[at] = sum;
          pick[at] = place;
        }
      }
    }
    best = next;
    return pick;
  });
  const taken = new Array<number>(items.length).fill(0);
  for (let item = items.length - 1, at = leastAt(best, from); item >= 0; item -= 1) {
    taken[item] = picks[item]![at]!;
    at -= sizes[item]![taken[item]!]!;
  }
  return taken;
}

/** The first place of the least number from `from` on; of all, where none of these is finite. */
function leastAt(values: Float64Array, from: number): number {
  let found = from;
  for (let at = from; at < values.length; at += 1) if (values[at]! < values[found]!) found = at;
  return from === 0 || Number.isFinite(values[found]!) ? found : leastAt(values, 0);
}

/** Moves single items to better choices as long as they fit, those that gain most for their bytes first. */
function givenOut(items: readonly (readonly Choice[])[], taken: readonly number[], budgetBytes: number): number[] {
  const result = [...taken];
  let left = budgetBytes - result.reduce((sum, place, item) => sum + items[item]![place]!.bytes, 0);
  for (;;) {
    let found:
      | { readonly item: number; readonly place: number; readonly more: number; readonly gain: number }
      | undefined;
    for (const [item, choices] of items.entries()) {
      const now = choices[result[item]!]!;
      for (const [place, choice] of choices.entries()) {
        const more = choice.bytes - now.bytes;
        const gain = (now.error - choice.error) / Math.max(more, 1);
        if (more <= left && choice.error < now.error && gain > (found?.gain ?? 0)) found = { item, place, more, gain };
      }
    }
    if (found === undefined) return result;
    result[found.item] = found.place;
    left -= found.more;
  }
}
