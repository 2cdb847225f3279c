import { type BootstrapOptions, bootstrapIntervals, type Interval } from './bootstrap.js';
import type { PassageComparison, PassageScore } from './passage-score.js';

/** How well a model predicts a text. */
export interface Figures {
  /** exp(Σ negative log-likelihood / tokens). */
  readonly perplexity: number;
  /** Share of scored tokens whose arg-max prediction is right. */
  readonly accuracy: number;
  /** Scored tokens. */
  readonly tokens: number;
  readonly passages: number;
  /** 95 %, bootstrapped over passages; a figure that has none is left out. */
  readonly intervals: Readonly<Partial<Record<'perplexity' | 'accuracy', Interval>>>;
}

/** How a model compares with a base model on the same passages. */
export interface Comparison {
  /** (base − now) / base of the accuracies; negative for a gain. */
  readonly accuracyLoss: number;
  /** now / base. */
  readonly perplexityRatio: number;
  /** The rest only when the base's predictions were compared token by token. Mean KL(base ‖ now), nats. */
  readonly kl?: number;
  /** Share of tokens for which both have the same arg-max. */
  readonly agreement?: number;
  /** Share of tokens that were right and are wrong, and the other way round; `flips` is both. Dutta et al. 2024. */
  readonly lost?: number;
  readonly gained?: number;
  readonly flips?: number;
  /** 95 %, bootstrapped over passages, both models on the same draws. */
  readonly intervals: Readonly<Partial<Record<ComparedFigure, Interval>>>;
}

export type ComparedFigure = Exclude<keyof Comparison, 'intervals'>;

type Statistics<Name extends string> = Readonly<Record<Name, (totals: readonly number[]) => number>>;

/** Figures of a model's scores, each with its interval. A text without tokens has none: they are NaN. */
export function summarize(scores: readonly PassageScore[], options: BootstrapOptions): Figures {
  const columns = [column(scores, 'tokens'), column(scores, 'negativeLogLikelihood'), column(scores, 'correct')];
  const statistics: Statistics<'perplexity' | 'accuracy'> = {
    perplexity: ([tokens, loss]) => Math.exp(loss! / tokens!),
    accuracy: ([tokens, , correct]) => correct! / tokens!,
  };
  const totals = columns.map(total);
  return {
    perplexity: statistics.perplexity(totals),
    accuracy: statistics.accuracy(totals),
    tokens: totals[0]!,
    passages: scores.length,
    intervals: bootstrapIntervals(columns, statistics, options),
  };
}

/**
 * Compares scores of the same passages, paired; with `comparisons` (from `scorePassages` with a base) also what they know.
 * A base that is never right has no relative loss: it is NaN, and no gate passes it. Throws when the passages differ.
 */
export function compareScores(
  base: readonly PassageScore[],
  now: readonly PassageScore[],
  options: BootstrapOptions & { readonly comparisons?: readonly PassageComparison[] },
): Comparison {
  checkSamePassages(base, now);
  const scored = compare(
    [column(base, 'tokens'), column(base, 'correct'), column(now, 'correct'), lossIncrease(base, now)],
    {
      // Counts, so that a loss of exactly 3 in 100 is the same number as a limit of 3 %.
      accuracyLoss: ([, before, after]) => (before! - after!) / before!,
      perplexityRatio: ([tokens, , , increase]) => Math.exp(increase! / tokens!),
    },
    options,
  );
  if (options.comparisons === undefined) return scored;
  if (options.comparisons.length !== base.length) throw new Error('comparisons of other passages');
  const compared = compareTokens(base, options.comparisons, options);
  return { ...scored, ...compared, intervals: { ...scored.intervals, ...compared.intervals } };
}

function compareTokens(
  base: readonly PassageScore[],
  comparisons: readonly PassageComparison[],
  options: BootstrapOptions,
) {
  const fields = ['divergence', 'sameTop', 'lost', 'gained'] as const;
  return compare(
    [column(base, 'tokens'), ...fields.map((field) => column(comparisons, field))],
    {
      kl: ([tokens, divergence]) => divergence! / tokens!,
      agreement: ([tokens, , same]) => same! / tokens!,
      lost: ([tokens, , , lost]) => lost! / tokens!,
      gained: ([tokens, , , , gained]) => gained! / tokens!,
      flips: ([tokens, , , lost, gained]) => (lost! + gained!) / tokens!,
    },
    options,
  );
}

function compare<Name extends string>(
  columns: readonly Float64Array[],
  statistics: Statistics<Name>,
  options: BootstrapOptions,
): Record<Name, number> & { intervals: Partial<Record<Name, Interval>> } {
  const totals = columns.map(total);
  const names = Object.keys(statistics) as Name[];
  const figures = Object.fromEntries(names.map((name) => [name, statistics[name](totals)])) as Record<Name, number>;
  return { ...figures, intervals: bootstrapIntervals(columns, statistics, options) };
}

function checkSamePassages(base: readonly PassageScore[], now: readonly PassageScore[]): void {
  if (base.length === now.length && base.every((score, i) => score.tokens === now[i]!.tokens)) return;
  throw new Error('scores of different passages cannot be compared');
}

function lossIncrease(base: readonly PassageScore[], now: readonly PassageScore[]): Float64Array {
  const before = column(base, 'negativeLogLikelihood');
  return column(now, 'negativeLogLikelihood').map((loss, i) => loss - before[i]!);
}

/** One field of all rows. What is no number is NaN: JSON, in which scores are kept, writes NaN as null, and null adds up as 0. */
function column<Row>(rows: readonly Row[], field: { [K in keyof Row]: Row[K] extends number ? K : never }[keyof Row]) {
  return Float64Array.from(rows, (row) => {
    const value: unknown = row[field];
    return typeof value === 'number' ? value : Number.NaN;
  });
}

function total(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}
