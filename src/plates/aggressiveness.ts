import { grouped } from './grouped.js';
import { Marks } from './marks.js';
import type { PlateRange } from './plate.js';

/** Consecutive plates with what decides when they go; every array has one entry per plate. */
export interface RankedRange {
  readonly range: PlateRange;
  /** Comparable over all ranges that are ranked together; larger = keep. */
  readonly scores: Float64Array;
  readonly parameters: Float64Array;
  /** The aggressiveness from which on nothing protects the plate: 0 for unprotected ones, Infinity for those that never go. */
  readonly releases: Float64Array;
}

/**
 * Returns for every plate its level: the least aggressiveness at which it would be shed, in (0, 1], or Infinity. Per kind, a
 * plate's level is the share of the unprotected parameters that have a score no larger than its own (with equal scores, in the
 * order of blocks and indices), or, when it is protected until later, that later one. So what is shed at one aggressiveness is
 * shed at every larger one; 0 sheds nothing, and 1 all that may go.
 *
 * @example
 * const levels = shedLevels(ranked);
 * const marks = marksAt(ranked, levels, 0.25); // a quarter of the unprotected parameters of each kind
 */
export function shedLevels(ranked: readonly RankedRange[]): Float64Array[] {
  const levels = ranked.map(({ scores }) => new Float64Array(scores.length));
  const byKind = grouped(ranked.keys(), (i) => ranked[i]!.range.kind);
  for (const members of byKind.values()) levelKind(ranked, members, levels);
  return levels;
}

/** The plates whose level is no larger than the aggressiveness. */
export function marksAt(
  ranked: readonly Pick<RankedRange, 'range'>[],
  levels: readonly Float64Array[],
  aggressiveness: number,
): Marks {
  const runs: PlateRange[] = [];
  for (const [i, { range }] of ranked.entries()) {
    for (const [at, level] of levels[i]!.entries()) {
      if (level <= aggressiveness) runs.push({ ...range, start: range.start + at, count: 1 });
    }
  }
  return Marks.of(runs);
}

function levelKind(ranked: readonly RankedRange[], members: readonly number[], levels: Float64Array[]): void {
  const plates = members.flatMap((i) => Array.from({ length: ranked[i]!.scores.length }, (_, at) => ({ i, at })));
  // Stable: equal scores stay in the order of blocks and indices.
  plates.sort((a, b) => ranked[a.i]!.scores[a.at]! - ranked[b.i]!.scores[b.at]!);
  const isFree = ({ i, at }: { i: number; at: number }) => ranked[i]!.releases[at] === 0;
  const free = plates.filter(isFree).reduce((sum, { i, at }) => sum + ranked[i]!.parameters[at]!, 0);
  let before = 0;
  for (const plate of plates) {
    const { i, at } = plate;
    if (isFree(plate)) before += ranked[i]!.parameters[at]!;
    levels[i]![at] = Math.max(ranked[i]!.releases[at]!, free === 0 ? 0 : before / free);
  }
}
