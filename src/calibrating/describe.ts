import type { Candidate, SourceCounts } from './pool.js';
import type { Source, SourceFile } from './sources.js';
import { LENGTH_CLASSES, lengthClass, tokensOf } from './strata.js';

/** How much of something there is. */
export interface Amount {
  readonly passages: number;
  readonly tokens: number;
}

/** A source, what became of it, and what the set has of it. */
export interface DescribedSource extends SourceCounts {
  readonly name: string;
  readonly files: readonly SourceFile[];
  /** What could have been chosen. */
  readonly pool: Amount;
  readonly chosen: Amount;
}

/** What a set covers of the vocabulary, beside all that could have been chosen. */
export interface VocabularyCoverage {
  readonly size: number;
  /** Distinct entries. */
  readonly inPool: number;
  readonly inSet: number;
  /** Part of the pool's tokens whose entry the set has. */
  readonly tokenShare: number;
}

export interface Description extends Amount {
  readonly sources: readonly DescribedSource[];
  readonly lengths: readonly ({ readonly name: string } & Amount)[];
  readonly vocabulary: VocabularyCoverage;
}

export interface DescribeInput {
  readonly sources: readonly Source[];
  readonly counts: readonly SourceCounts[];
  readonly candidates: readonly Candidate[];
  /** Indices of candidates. */
  readonly chosen: readonly number[];
  readonly context: number;
  readonly vocabularySize: number;
}

/** Says what a set is made of and what it covers. Pure. */
export function describe(input: DescribeInput): Description {
  const { sources, counts, candidates, chosen, context, vocabularySize } = input;
  const all = [...candidates.keys()];
  const amount = (indices: readonly number[]): Amount => {
    return { passages: indices.length, tokens: tokensOf(candidates, indices) };
  };
  const ofSource = (indices: readonly number[], source: number) =>
    amount(indices.filter((index) => candidates[index]!.source === source));
  return {
    ...amount(chosen),
    sources: sources.map(({ name, files }, index) => {
      return { name, files, ...counts[index]!, pool: ofSource(all, index), chosen: ofSource(chosen, index) };
    }),
    lengths: LENGTH_CLASSES.map((name, index) => {
      const isIn = (candidate: number) => lengthClass(candidates[candidate]!.ids.length, context) === index;
      return { name, ...amount(chosen.filter(isIn)) };
    }),
    vocabulary: coverage(candidates, chosen, vocabularySize),
  };
}

function coverage(candidates: readonly Candidate[], chosen: readonly number[], size: number): VocabularyCoverage {
  const inSet = new Set(chosen.flatMap((index) => [...candidates[index]!.ids]));
  const inPool = new Set<number>();
  let [tokens, covered] = [0, 0];
  for (const { ids } of candidates) {
    tokens += ids.length;
    for (const id of ids) {
      inPool.add(id);
      if (inSet.has(id)) covered += 1;
    }
  }
  return { size, inPool: inPool.size, inSet: inSet.size, tokenShare: tokens === 0 ? 0 : covered / tokens };
}
