import type { RowRange } from '../matrix.js';

/** Columns of what `logitStatistics` returns. */
const MAX = 0;
const EXP_SUM = 1;
const ARG_MAX = 2;
const TARGET = 3;
const COUNT = 4;

/** What is known of each row's softmax over the part of the vocabulary seen so far; parts must come in order. */
export class NextTokenTally {
  readonly argMax: Int32Array;
  readonly logSum: Float64Array;
  readonly #max: Float64Array;
  readonly #target: Float64Array;
  readonly #targets: Int32Array;

  constructor(targets: Int32Array) {
    this.#targets = targets;
    this.argMax = new Int32Array(targets.length);
    this.logSum = new Float64Array(targets.length).fill(Number.NEGATIVE_INFINITY);
    this.#max = new Float64Array(targets.length).fill(Number.NEGATIVE_INFINITY);
    this.#target = new Float64Array(targets.length);
  }

  /** The rows' targets as positions within `vocabulary`; 0 where the target lies in another part. */
  localTargets(rows: RowRange, vocabulary: RowRange): Int32Array {
    return this.#targets
      .subarray(rows.start, rows.start + rows.count)
      .map((target) => (contains(vocabulary, target) ? target - vocabulary.start : 0));
  }

  /** Takes in `logitStatistics` of `rows` over `vocabulary`. */
  add(rows: RowRange, vocabulary: RowRange, statistics: ArrayLike<number>): void {
    for (let i = 0; i < rows.count; i += 1) {
      const row = rows.start + i;
      const max = statistics[COUNT * i + MAX]!;
      this.logSum[row] = logAddExp(this.logSum[row]!, max + Math.log(statistics[COUNT * i + EXP_SUM]!));
      // Only a strictly larger logit takes the lead: of equals the lowest index keeps it.
      if (max > this.#max[row]!) {
        this.#max[row] = max;
        this.argMax[row] = vocabulary.start + statistics[COUNT * i + ARG_MAX]!;
      }
      if (contains(vocabulary, this.#targets[row]!)) this.#target[row] = statistics[COUNT * i + TARGET]!;
    }
  }

  logProbability(): Float64Array {
    return this.#target.map((logit, row) => logit - this.logSum[row]!);
  }
}

/**
 * KL(base ‖ now) per row, gathered over parts of the vocabulary:
 * Σ_j p_j (b_j − z_j) − ln Σ exp b + ln Σ exp z, p = softmax(b), where a part's sum is its mean under p times its share of p.
 */
export class DivergenceTally {
  readonly #base: NextTokenTally;
  readonly #now: NextTokenTally;
  readonly #mean: Float64Array;

  constructor(base: NextTokenTally, now: NextTokenTally, rows: number) {
    this.#base = base;
    this.#now = now;
    this.#mean = new Float64Array(rows);
  }

  /** Takes in one part's `logitDivergence`; `logSumBefore` is the base's ln Σ exp of the parts before it, by row of `rows`. */
  add(rows: RowRange, logSumBefore: Float64Array, means: ArrayLike<number>): void {
    for (let i = 0; i < rows.count; i += 1) {
      const row = rows.start + i;
      const shareBefore = Math.exp(logSumBefore[i]! - this.#base.logSum[row]!);
      this.#mean[row] = this.#mean[row]! * shareBefore + means[i]! * (1 - shareBefore);
    }
  }

  /** Rounding can leave a hair below zero, where no divergence is. */
  divergence(): Float64Array {
    return this.#mean.map((mean, row) => Math.max(0, mean - this.#base.logSum[row]! + this.#now.logSum[row]!));
  }
}

function contains(range: RowRange, index: number): boolean {
  return index >= range.start && index < range.start + range.count;
}

function logAddExp(a: number, b: number): number {
  const larger = Math.max(a, b);
  return a === Number.NEGATIVE_INFINITY ? b : larger + Math.log1p(Math.exp(Math.min(a, b) - larger));
}
