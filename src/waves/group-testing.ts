/** How far a search for culprits may go. */
export interface SearchLimits {
  /** More culprits than this, and the fault is not in single items. */
  readonly culprits: number;
  /** Tests of subsets, each of which may take as long as a whole measurement. */
  readonly tests: number;
}

/**
 * What a search has found. `found`: without the culprits the rest passes. Otherwise the rest is no better without what is in
 * `culprits`: the items fail only together (`together`), even all of them pass (`absent`), or a limit was reached.
 */
export interface SearchResult<Item> {
  readonly outcome: 'found' | 'together' | 'absent' | 'too-many' | 'too-long';
  readonly culprits: readonly Item[];
  /** Tests that were made. */
  readonly tests: number;
}

/** Why a search ends before it has found every culprit. */
class Unresolved extends Error {
  readonly outcome: Exclude<SearchResult<never>['outcome'], 'found'>;

  constructor(outcome: Unresolved['outcome']) {
    super(outcome);
    this.outcome = outcome;
  }
}

/**
 * Finds the items that make a set fail, by repeated bisection: a set that fails is halved, and the search goes on in a half that
 * fails by itself, down to one item; that one is taken out, and the search begins again with the rest while it fails. Both halves
 * of a set that fails may pass: then the items do it only together, no single one is to blame, and the search ends.
 *
 * Every culprit is tested alone, and `found` means that the rest was tested and passes. With n items and c culprits it takes at
 * most 1 + c · (2 ⌈log₂ n⌉ + 1) tests (adaptive group testing by binary splitting: Du & Hwang 2000, "Combinatorial Group Testing
 * and Its Applications", ch. 2). Tests come in the order of the items, so the same answers make the same search.
 */
export async function findCulprits<Item>(
  items: readonly Item[],
  fails: (subset: readonly Item[]) => Promise<boolean>,
  limits: SearchLimits,
): Promise<SearchResult<Item>> {
  const culprits: Item[] = [];
  let tests = 0;
  const test = (subset: readonly Item[]): Promise<boolean> => {
    if (tests === limits.tests) throw new Unresolved('too-long');
    tests += 1;
    return fails(subset);
  };
  try {
    let rest = items;
    while (await test(rest)) {
      if (culprits.length === limits.culprits) throw new Unresolved('too-many');
      const culprit = await culpritIn(rest, test);
      culprits.push(culprit);
      rest = rest.filter((item) => item !== culprit);
      // Nothing is left to keep.
      if (rest.length === 0) throw new Unresolved('too-many');
    }
    if (culprits.length === 0) throw new Unresolved('absent');
    return { outcome: 'found', culprits, tests };
  } catch (error) {
    if (error instanceof Unresolved) return { outcome: error.outcome, culprits, tests };
    throw error;
  }
}

/** One item that fails alone, of a set that fails. */
async function culpritIn<Item>(
  failing: readonly Item[],
  test: (subset: readonly Item[]) => Promise<boolean>,
): Promise<Item> {
  let suspects = failing;
  while (suspects.length > 1) {
    const middle = Math.ceil(suspects.length / 2);
    const halves = [suspects.slice(0, middle), suspects.slice(middle)];
    if (await test(halves[0]!)) suspects = halves[0]!;
    else if (await test(halves[1]!)) suspects = halves[1]!;
    else throw new Unresolved('together');
  }
  return suspects[0]!;
}
