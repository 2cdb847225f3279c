import { type Candidate, shuffled } from './pool.js';
import { type Stratum, tokensOf } from './strata.js';

/** How passages are chosen within their quotas: any, or those that bring tokens which no other has brought. */
export const CHOICES = ['random', 'vocabulary'] as const;
export type Choice = (typeof CHOICES)[number];

export interface ChooseOptions {
  readonly choice: Choice;
  readonly seed: number;
}

/**
 * Returns the indices of the chosen candidates: of each stratum as many as fill its quota of tokens, in an order in which every
 * beginning of the set is divided over the strata as the whole is.
 */
export function choose(candidates: readonly Candidate[], strata: readonly Stratum[], options: ChooseOptions): number[] {
  const order = options.choice === 'random' ? atRandom : byVocabulary;
  return interleaved(candidates, order(candidates, strata, options.seed));
}

type Chosen = readonly (readonly number[])[];

function atRandom(candidates: readonly Candidate[], strata: readonly Stratum[], seed: number): Chosen {
  return strata.map(({ members, quota }, index) => {
    const chosen: number[] = [];
    let tokens = 0;
    for (const member of shuffled(members, seed + index)) {
      if (isFull(tokens, quota, candidates[member]!)) continue;
      chosen.push(member);
      tokens += candidates[member]!.ids.length;
    }
    return chosen;
  });
}

/**
 * Always the passage that brings the most entries of the vocabulary which nothing chosen has, over all strata that are not full;
 * by the greedy bound of Nemhauser et al. 1978 at least 63 % of what the best choice would cover. An entry that one passage alone
 * has, a typing error or a number, counts for nothing.
 */
function byVocabulary(candidates: readonly Candidate[], strata: readonly Stratum[], seed: number): Chosen {
  const chosen: number[][] = strata.map(() => []);
  const tokens = strata.map(() => 0);
  const covered = new Set<number>();
  const entries = sharedEntries(candidates);
  const gain = (index: number) => entries[index]!.reduce((count, id) => count + (covered.has(id) ? 0 : 1), 0);
  const open = strata.flatMap(({ members }, stratum) =>
    members.map((index) => ({ index, stratum, gain: gain(index) })),
  );
  const queue = shuffled(open, seed).sort((left, right) => right.gain - left.gain);
  // A gain only falls as more is covered: what is still the largest after it was counted anew is the largest (Minoux 1978).
  while (queue.length > 0) {
    const next = queue.shift()!;
    const { index, stratum } = next;
    if (isFull(tokens[stratum]!, strata[stratum]!.quota, candidates[index]!)) continue;
    const now = gain(index);
    if (queue.length > 0 && now < queue[0]!.gain) {
      insert(queue, { index, stratum, gain: now });
      continue;
    }
    chosen[stratum]!.push(index);
    tokens[stratum]! += candidates[index]!.ids.length;
    for (const id of entries[index]!) covered.add(id);
  }
  return chosen;
}

/** Of each candidate, the distinct ids that at least one other has too. */
function sharedEntries(candidates: readonly Candidate[]): (readonly number[])[] {
  const distinct = candidates.map(({ ids }) => [...new Set(ids)]);
  const holders = new Map<number, number>();
  for (const ids of distinct) for (const id of ids) holders.set(id, (holders.get(id) ?? 0) + 1);
  return distinct.map((ids) => ids.filter((id) => holders.get(id)! > 1));
}

/** Puts an item behind all of larger or equal gain, by halving. */
function insert<T extends { readonly gain: number }>(queue: T[], item: T): void {
  let [low, high] = [0, queue.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (queue[middle]!.gain >= item.gain) low = middle + 1;
    else high = middle;
  }
  queue.splice(low, 0, item);
}

/** Whether a passage would lead further past its quota than it is short of it without. */
function isFull(tokens: number, quota: number, { ids }: Candidate): boolean {
  return tokens + ids.length / 2 > quota;
}

/** One after the other from the stratum of which the smallest part is out. */
function interleaved(candidates: readonly Candidate[], chosen: Chosen): number[] {
  const strata = chosen
    .filter((indices) => indices.length > 0)
    .map((indices) => ({ indices, total: tokensOf(candidates, indices), out: 0, next: 0 }));
  const order: number[] = [];
  const count = chosen.reduce((total, indices) => total + indices.length, 0);
  while (order.length < count) {
    const open = strata.filter(({ next, indices }) => next < indices.length);
    const first = open.reduce((least, stratum) => {
      return (stratum.out + 1) / stratum.total < (least.out + 1) / least.total ? stratum : least;
    });
    const index = first.indices[first.next]!;
    first.next += 1;
    first.out += candidates[index]!.ids.length;
    order.push(index);
  }
  return order;
}
