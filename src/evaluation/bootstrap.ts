import { quantileSorted } from 'simple-statistics';
import { seededRandom } from '../random.js';

/** The lower and the upper end of a confidence interval. */
export type Interval = readonly [low: number, high: number];

export interface BootstrapOptions {
  readonly seed: number;
  readonly resamples?: number;
  /** Share of resamples inside the interval. */
  readonly level?: number;
}

/**
 * Returns a percentile bootstrap interval of each statistic over passages. `columns` hold one sum per passage each; a statistic
 * makes a figure of the columns' totals. Every resample draws as many passages as there are, with replacement, and computes all
 * statistics on the same draw: figures of two models on the same passages stay paired. No interval for a statistic that is not
 * finite on some resample, and none at all from fewer than two passages. Source: Efron & Tibshirani 1993, §13.3.
 */
export function bootstrapIntervals<Name extends string>(
  columns: readonly Float64Array[],
  statistics: Readonly<Record<Name, (totals: readonly number[]) => number>>,
  { seed, resamples = 1000, level = 0.95 }: BootstrapOptions,
): Partial<Record<Name, Interval>> {
  const passages = columns[0]?.length ?? 0;
  if (passages < 2) return {};
  const names = Object.keys(statistics) as Name[];
  const drawn = names.map(() => new Float64Array(resamples));
  const random = seededRandom(seed);
  for (let resample = 0; resample < resamples; resample++) {
    const totals = columns.map(() => 0);
    for (let draw = 0; draw < passages; draw++) {
      const passage = random.below(passages);
      for (let column = 0; column < columns.length; column++) totals[column]! += columns[column]![passage]!;
    }
    names.forEach((name, i) => {
      drawn[i]![resample] = statistics[name](totals);
    });
  }
  const intervals: Partial<Record<Name, Interval>> = {};
  names.forEach((name, i) => {
    if (drawn[i]!.every(Number.isFinite)) intervals[name] = percentiles(drawn[i]!, level);
  });
  return intervals;
}

function percentiles(values: Float64Array, level: number): Interval {
  const sorted = Array.from(values.toSorted());
  const tail = (1 - level) / 2;
  return [quantileSorted(sorted, tail), quantileSorted(sorted, 1 - tail)];
}
