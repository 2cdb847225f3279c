import { countOf, type IndexRange, remainingRanges } from '../../plates/index.js';

/** Which positions of one axis stay: ranges in order that do not touch. */
export interface Kept {
  /** Positions before the cut. */
  readonly size: number;
  /** Positions that stay. */
  readonly count: number;
  readonly ranges: readonly IndexRange[];
}

/** What is left of an axis without the removed ranges, which are merged; all of it where none is removed. */
export function keepWithout(size: number, removed: readonly IndexRange[] = []): Kept {
  const ranges = remainingRanges(removed, size);
  return { size, count: countOf(ranges), ranges };
}
