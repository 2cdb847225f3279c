import type { Tokenizer } from '../model/index.js';
import { seededRandom } from '../random.js';
import { Deduplicator } from './duplicates.js';
import type { Source } from './sources.js';

/** Less than this says little of what a model does with a text; with a smaller context, a passage fills it. */
const MIN_PASSAGE_TOKENS = 16;

/** Tokens that each source may bring to choose from, as a multiple of the whole set's: a corpus is not encoded to its end. */
const POOL_MULTIPLE = 16;

/** A passage that may be chosen. */
export interface Candidate {
  /** Index of its source. */
  readonly source: number;
  readonly ids: Int32Array;
  readonly text: string;
}

/** What became of a source's documents before anything was chosen. */
export interface SourceCounts {
  readonly documents: number;
  /** Documents that another one repeats, and passages cut from documents that do. */
  readonly duplicates: { readonly exact: number; readonly near: number };
  /** Passages that were taken from a held-out text. */
  readonly heldOut: number;
  /** Documents that were not looked at: there was enough to choose from. */
  readonly notRead: number;
}

export interface Pool {
  readonly candidates: readonly Candidate[];
  readonly counts: readonly SourceCounts[];
}

export interface PoolOptions {
  /** The most tokens of a passage. */
  readonly context: number;
  /** Tokens of the set that is to be chosen. */
  readonly budget: number;
  readonly seed: number;
  readonly isHeldOut: (passage: string) => boolean;
}

/**
 * Cuts the documents of all sources into passages, each text once: a document or passage that repeats an earlier one, of whatever
 * source, is dropped. Documents are taken in an order drawn by the seed.
 */
export function poolOf(sources: readonly Source[], tokenizer: Tokenizer, options: PoolOptions): Pool {
  const seen = { documents: new Deduplicator(), passages: new Deduplicator() };
  const candidates: Candidate[] = [];
  const counts = sources.map(({ documents }, source) => {
    const counts = { documents: 0, duplicates: { exact: 0, near: 0 }, heldOut: 0, notRead: 0 };
    let tokens = 0;
    for (const text of shuffled(documents, options.seed + source)) {
      if (tokens >= POOL_MULTIPLE * options.budget) {
        counts.notRead += 1;
        continue;
      }
      for (const passage of newPassages(text, tokenizer, { seen, counts, ...options })) {
        candidates.push({ source, ...passage });
        tokens += passage.ids.length;
      }
    }
    return counts;
  });
  return { candidates, counts };
}

interface Sieve extends PoolOptions {
  readonly seen: { readonly documents: Deduplicator; readonly passages: Deduplicator };
  readonly counts: { documents: number; readonly duplicates: Record<'exact' | 'near', number>; heldOut: number };
}

type Passage = Omit<Candidate, 'source'>;

/** The passages of a document that nothing speaks against; counts it and the others. */
function newPassages(text: string, tokenizer: Tokenizer, { seen, counts, context, isHeldOut }: Sieve): Passage[] {
  counts.documents += 1;
  const found = seen.documents.take(text);
  if (found !== 'new') {
    counts.duplicates[found] += 1;
    return [];
  }
  const passages = passagesOf(text, tokenizer, context);
  return passages.filter((passage) => {
    // A document that is one passage has just been compared.
    const repeated = passages.length === 1 ? 'new' : seen.passages.take(passage.text);
    if (repeated !== 'new') counts.duplicates[repeated] += 1;
    else if (isHeldOut(passage.text)) counts.heldOut += 1;
    else return true;
    return false;
  });
}

/** A document's passages of `context` tokens; what is left at its end is one where it is long enough. */
function passagesOf(text: string, tokenizer: Tokenizer, context: number): Passage[] {
  const ids = tokenizer.encode(text);
  const least = Math.min(context, MIN_PASSAGE_TOKENS);
  if (ids.length <= context) return ids.length < least ? [] : [{ ids, text }];
  const passages: Passage[] = [];
  for (let start = 0; ids.length - start >= least; start += context) {
    const cut = ids.slice(start, start + context);
    passages.push({ ids: cut, text: tokenizer.decode(cut) });
  }
  return passages;
}

/** Fisher and Yates's shuffle. */
export function shuffled<T>(items: readonly T[], seed: number): T[] {
  const order = [...items];
  const random = seededRandom(seed);
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = random.below(last + 1);
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}
