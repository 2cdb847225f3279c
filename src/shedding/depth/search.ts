import { type Random, seededRandom } from '../../random.js';

/** A block, or one half of a block, that can go as a whole. */
export interface Part {
  /** Id of its plate. */
  readonly id: string;
  /** Parts of one class have the same number of parameters, so that one can go for another. */
  readonly kind: 'block' | 'attention' | 'ffn';
}

/** What decides between sets of parts that go, by their ids. */
export interface DepthContest {
  /** Tokens that divergences can be measured on at most. */
  readonly tokens: number;
  /** Mean KL(dense ‖ the model without the parts) in nats over at least so many tokens, of each set. */
  divergences(sets: readonly ReadonlySet<string>[], tokens: number): Promise<readonly number[]>;
}

export interface DepthSearch {
  readonly parts: readonly Part[];
  /** How many of each kind go. */
  readonly counts: Readonly<Record<Part['kind'], number>>;
  /** Whether the target engine would load the model without these parts. */
  readonly isLoadable: (gone: ReadonlySet<string>) => boolean;
  readonly contest: DepthContest;
  readonly seed: number;
  readonly onStep?: (done: number, total: number) => void;
}

/** Up to so many sets, all of them are measured, and nothing is left to chance. */
const MOST_SETS_MEASURED = 64;
const GENERATIONS = 24;
const OFFSPRING = 8;
/** Sets drawn to begin with. */
const FIRST_SETS = 24;
/** Each stage measures those that the one before let through on more of the text. */
const STAGES = [
  { share: 1 / 8, survivors: 2 },
  { share: 1, survivors: 1 },
] as const;
/** A set without the loadable rules in it is found by drawing; a search space with hardly any is not for drawing. */
const MOST_DRAWS = 1000;

/**
 * The set of parts whose going changes the model's predictions least: measured, never ranked part by part, since what one part
 * does depends on which others are left. Few sets are measured all; of many, an evolution that swaps parts keeps the best. The
 * same seed and figures give the same set. Undefined when no set is loadable. Source: Sieberling et al. 2024, "EvoPress", section 4.1.
 */
export async function searchDepth(search: DepthSearch): Promise<ReadonlySet<string> | undefined> {
  const all = everySet(search);
  if (all !== undefined) return all.length === 0 ? undefined : bestOf(all, search, search.contest.tokens);
  const random = seededRandom(search.seed);
  const first = Array.from({ length: FIRST_SETS }, () => drawn(search, random)).filter((set) => set !== undefined);
  if (first.length === 0) return undefined;
  let parent = await tournament(first, undefined, search);
  for (let generation = 0; generation < GENERATIONS; generation += 1) {
    const offspring = Array.from({ length: OFFSPRING }, () => swapped(parent, search, random));
    parent = await tournament(offspring, parent, search);
    search.onStep?.(generation + 1, GENERATIONS);
  }
  return parent;
}

async function tournament(
  offspring: readonly ReadonlySet<string>[],
  parent: ReadonlySet<string> | undefined,
  search: DepthSearch,
): Promise<ReadonlySet<string>> {
  let field = distinct(offspring);
  for (const [stage, { share, survivors }] of STAGES.entries()) {
    if (stage === STAGES.length - 1 && parent !== undefined) field = distinct([parent, ...field]);
    field = await best(field, survivors, search, Math.ceil(share * search.contest.tokens));
  }
  return field[0]!;
}

async function bestOf(sets: readonly ReadonlySet<string>[], search: DepthSearch, tokens: number) {
  return (await best(sets, 1, search, tokens))[0]!;
}

/** The sets with the least divergences; of equal ones the first. */
async function best(
  sets: readonly ReadonlySet<string>[],
  count: number,
  { contest }: DepthSearch,
  tokens: number,
): Promise<ReadonlySet<string>[]> {
  if (sets.length <= count) return [...sets];
  const found = await contest.divergences(sets, tokens);
  const order = sets.map((_, i) => i).sort((a, b) => found[a]! - found[b]! || a - b);
  return order.slice(0, count).map((i) => sets[i]!);
}

function distinct(sets: readonly ReadonlySet<string>[]): ReadonlySet<string>[] {
  return [...new Map(sets.map((set) => [[...set].sort().join(), set])).values()];
}

/** All loadable sets; undefined when there are too many to measure. */
function everySet({ parts, counts, isLoadable }: DepthSearch): ReadonlySet<string>[] | undefined {
  let sets: string[][] = [[]];
  for (const kind of ['block', 'attention', 'ffn'] as const) {
    const own = parts.filter((part) => part.kind === kind).map(({ id }) => id);
    const chosen = combinations(own, counts[kind], Math.floor(MOST_SETS_MEASURED / sets.length));
    if (chosen === undefined) return undefined;
    sets = sets.flatMap((set) => chosen.map((more) => [...set, ...more]));
  }
  return sets.map((ids) => new Set(ids)).filter(isLoadable);
}

/** Every choice of `count`; undefined for more than `most`. */
function combinations(ids: readonly string[], count: number, most: number): string[][] | undefined {
  let number = 1;
  for (let i = 0; i < count; i += 1) number = (number * (ids.length - i)) / (i + 1);
  if (number > most) return undefined;
  const choose = (from: number, left: number): string[][] => {
    if (left === 0) return [[]];
    return ids.slice(from).flatMap((id, at) => choose(from + at + 1, left - 1).map((rest) => [id, ...rest]));
  };
  return choose(0, count);
}

function drawn({ parts, counts, isLoadable }: DepthSearch, random: Random): ReadonlySet<string> | undefined {
  for (let draw = 0; draw < MOST_DRAWS; draw += 1) {
    const gone = new Set<string>();
    for (const kind of ['block', 'attention', 'ffn'] as const) {
      const own = parts.filter((part) => part.kind === kind);
      for (let i = 0; i < counts[kind]; i += 1) gone.add(own.splice(random.below(own.length), 1)[0]!.id);
    }
    if (isLoadable(gone)) return gone;
  }
  return undefined;
}

/** The set with one to three of its parts swapped for others of their kind, mostly one; as it is where no swap is loadable. */
function swapped(gone: ReadonlySet<string>, { parts, isLoadable }: DepthSearch, random: Random): ReadonlySet<string> {
  for (let draw = 0; draw < MOST_DRAWS; draw += 1) {
    const next = new Set(gone);
    const swaps = Math.min(1 + random.below(3), 1 + random.below(3));
    for (let swap = 0; swap < swaps; swap += 1) {
      const out = [...next][random.below(next.size)]!;
      const { kind } = parts.find(({ id }) => id === out)!;
      const others = parts.filter((part) => part.kind === kind && !next.has(part.id));
      if (others.length === 0) continue;
      next.delete(out);
      next.add(others[random.below(others.length)]!.id);
    }
    if (isLoadable(next)) return next;
  }
  return gone;
}
