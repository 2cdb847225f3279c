import type { Counts } from '../allocation/index.js';
import type { LinearSpec, Model } from '../model/index.js';
import type { Removal } from '../solvers/index.js';
import {
  type FixedPattern,
  type FreePattern,
  matricesWithPattern,
  type Pattern,
  removedCount,
} from '../sparsity/index.js';
import type { ClusteredRemoval } from './cluster-thresholds.js';
import { clusteredMask } from './clustered-mask.js';

/** What a wave removes from each matrix, by its name; undefined where it leaves a matrix as it is. */
export type Removals = (weight: string) => Removal | undefined;

export interface RemovalSettings {
  readonly pattern: Pattern;
  readonly compare: 'row' | 'layer';
  /** The sparsity to reach over all matrices. */
  readonly target: number;
  /** How many weights go of each matrix, where an allocation says; the target's share of all unless given. */
  readonly counts?: Counts | undefined;
  /** The same of clusters of each matrix's rows. */
  readonly clustered?: ReadonlyMap<string, ClusteredRemoval> | undefined;
}

/** A block's linears that pruning may change: all but the router of experts, whose few weights decide where tokens go. */
export function prunableLinears(model: Model, index: number): readonly LinearSpec[] {
  return model.decoder.blocks[index]!.linears.filter(({ role }) => role !== 'router');
}

/** How many weights the prunable linears of all blocks have. */
export function prunableWeights(model: Model): number {
  const linears = model.decoder.blocks.flatMap(({ index }) => prunableLinears(model, index));
  return linears.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
}

/**
 * What a wave with this target removes from each matrix: the one place that sparsities come from. A fixed pattern (N:M) removes
 * what it removes from a matrix, so a target below it is met by the matrices that take the pattern on: those in model order that
 * `matricesWithPattern` picks.
 */
export function removals(model: Model, { pattern, compare, target, counts, clustered }: RemovalSettings): Removals {
  if (pattern.kind === 'free') {
    if (clustered !== undefined) {
      const widths = widthsOf(model);
      return (weight) => ({
        mask: clusteredMask(pattern, clustered.get(weight)!, { columns: widths.get(weight)!, compare }),
      });
    }
    if (counts !== undefined) return countedRemovals(model, pattern, { compare, counts });
    const removal: Removal = {
      mask: (scores) => pattern.mask(scores, { sparsity: target, compare }),
      ...(compare === 'row' && {
        rule: (columns) => ({ group: columns, kept: columns - removedCount(columns, target) }),
      }),
    };
    return () => removal;
  }
  const chosen = matricesOf(pattern, model, target);
  const { group, kept } = pattern;
  const removal: Removal = { group, mask: (scores) => pattern.mask(scores), rule: () => ({ group, kept }) };
  return (weight) => (chosen.has(weight) ? removal : undefined);
}

/** A part of a matrix loses its share of the matrix's count, so that the parts' losses add up to it. */
function countedRemovals(
  model: Model,
  pattern: FreePattern,
  { compare, counts }: { readonly compare: 'row' | 'layer'; readonly counts: Counts },
): Removals {
  const widths = widthsOf(model);
  return (weight) => {
    const lostBefore = (column: number) => Math.round((counts.get(weight)! * column) / widths.get(weight)!);
    return {
      mask: (scores, firstColumn = 0) => {
        const removed = lostBefore(firstColumn + scores.columns) - lostBefore(firstColumn);
        return pattern.mask(scores, { removed, compare });
      },
    };
  };
}

function widthsOf({ decoder }: Model): ReadonlyMap<string, number> {
  return new Map(decoder.blocks.flatMap(({ linears }) => linears.map((spec) => [spec.weight, spec.columns])));
}

function matricesOf(pattern: FixedPattern, model: Model, target: number): ReadonlySet<string> {
  const matrices = model.decoder.blocks.flatMap(({ index }) =>
    prunableLinears(model, index).map((linear) => ({ name: linear.weight, elements: linear.rows * linear.columns })),
  );
  return matricesWithPattern(matrices, Math.min(1, target / pattern.sparsity));
}
