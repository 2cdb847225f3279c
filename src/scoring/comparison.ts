import { sampleRankCorrelation } from 'simple-statistics';
import type { ImportanceMetric } from '../importance/index.js';
import type { ScoredLinear } from '../pruning/index.js';
import { type FreePattern, type Mask, maskToBytes } from '../sparsity/index.js';
import { samplePositions, valuesAt } from './sampling.js';

/** Weights of one matrix that are ranked: the correlation's standard error is 1/64 at most. */
const MATRIX_SAMPLE = 4096;
/** Weights of the whole model that are ranked together, of each matrix its share. */
const MODEL_SAMPLE = 100_000;

/** How far two metrics agree on some weights. */
export interface Agreement {
  /** Spearman's ρ of the two scores; null where one of them is the same for all weights. */
  readonly rankCorrelation: number | null;
  /** How many weights ρ was computed from. */
  readonly sampled: number;
  /** Jaccard index of what each would remove, over all weights: |both| / |either|; null where neither removes any. */
  readonly overlap: number | null;
}

export interface MetricComparison {
  readonly metrics: readonly [string, string];
  /** What each would remove, by its own scope. */
  readonly sparsity: number;
  /** The overlap that two metrics which know nothing of each other have. */
  readonly overlapByChance: number;
  readonly all: Agreement;
  readonly matrices: readonly (Agreement & { readonly name: string; readonly block: number; readonly role: string })[];
}

/** The scores of the same weights by two metrics. */
export interface ScorePairs {
  readonly metrics: readonly [string, string];
  readonly first: readonly number[];
  readonly second: readonly number[];
}

export interface ComparisonOptions {
  readonly sparsity: number;
  readonly pattern: FreePattern;
  /** Of the whole model. */
  readonly weights: number;
}

/** Gathers, matrix after matrix, how far one metric agrees with another; no more than a sample of the scores is held. */
export class ComparisonBuilder {
  readonly #metrics: readonly [string, string];
  readonly #options: ComparisonOptions;
  readonly #matrices: MetricComparison['matrices'][number][] = [];
  readonly #pairs = { first: [] as number[], second: [] as number[] };
  readonly #removed = { both: 0, either: 0 };

  constructor(metrics: readonly [string, string], options: ComparisonOptions) {
    this.#metrics = metrics;
    this.#options = options;
  }

  /** Takes a linear's scores, and what each metric would remove of it (`removals`). */
  add({ block, spec, scores }: ScoredLinear, masks: ReadonlyMap<string, Mask>): void {
    const [first, second] = this.#metrics.map((name) => scores.get(name)!.values) as [Float32Array, Float32Array];
    const positions = samplePositions(first.length, MATRIX_SAMPLE);
    const overlap = removedByBoth(...(this.#metrics.map((name) => masks.get(name)!) as [Mask, Mask]));
    this.#removed.both += overlap.both;
    this.#removed.either += overlap.either;
    const share = Math.ceil((MODEL_SAMPLE * first.length) / this.#options.weights);
    const pooled = samplePositions(first.length, share);
    for (const position of pooled) {
      this.#pairs.first.push(first[position]!);
      this.#pairs.second.push(second[position]!);
    }
    this.#matrices.push({
      name: spec.weight,
      block,
      role: spec.role,
      ...agreement(valuesAt(first, positions), valuesAt(second, positions), overlap),
    });
  }

  finish(): MetricComparison {
    const { sparsity } = this.#options;
    const { first, second } = this.#pairs;
    return {
      metrics: this.#metrics,
      sparsity,
      overlapByChance: sparsity / (2 - sparsity),
      all: agreement(first, second, this.#removed),
      matrices: this.#matrices,
    };
  }

  get pairs(): ScorePairs {
    return { metrics: this.#metrics, ...this.#pairs };
  }
}

/** What each metric would remove of one linear at this sparsity, by its own scope. */
export function removals(
  { scores }: ScoredLinear,
  metrics: ReadonlyMap<string, ImportanceMetric>,
  { pattern, sparsity }: ComparisonOptions,
): ReadonlyMap<string, Mask> {
  return new Map(
    [...metrics].map(([name, { scope }]) => [name, pattern.mask(scores.get(name)!, { sparsity, compare: scope })]),
  );
}

function agreement(first: number[], second: number[], { both, either }: { both: number; either: number }): Agreement {
  const correlation = first.length > 1 ? sampleRankCorrelation(first, second) : Number.NaN;
  return {
    // Ranks that do not vary have no correlation; rounding may carry those that agree a little past 1.
    rankCorrelation: Number.isFinite(correlation) ? Math.min(1, Math.max(-1, correlation)) : null,
    sampled: first.length,
    overlap: either === 0 ? null : both / either,
  };
}

function removedByBoth(a: Mask, b: Mask): { both: number; either: number } {
  const [keptByA, keptByB] = [maskToBytes(a), maskToBytes(b)];
  let both = 0;
  let either = 0;
  for (let i = 0; i < keptByA.length; i++) {
    const kept = keptByA[i]! + keptByB[i]!;
    if (kept === 0) both += 1;
    if (kept < 2) either += 1;
  }
  return { both, either };
}
