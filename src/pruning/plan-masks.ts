import type { LinearSpec, Model } from '../model/index.js';
import type { Removal } from '../solvers/index.js';
import { type FixedPattern, type Mask, matricesWithPattern, type Pattern } from '../sparsity/index.js';

/** What a wave removes from each matrix, by its name; undefined where it leaves a matrix as it is. */
export type Removals = (weight: string) => Removal | undefined;

export interface RemovalSettings {
  readonly pattern: Pattern;
  readonly compare: 'row' | 'layer';
  /** The sparsity to reach over all matrices. */
  readonly target: number;
  /** The sparsity of each matrix, where they differ; the target's for all unless given. */
  readonly sparsityOf?: (weight: string) => number;
}

/** A block's linears that pruning may change: all but the router of experts, whose few weights decide where tokens go. */
export function prunableLinears(model: Model, index: number): readonly LinearSpec[] {
  return model.decoder.blocks[index]!.linears.filter(({ role }) => role !== 'router');
}

/**
 * What a wave with this target removes from each matrix: the one place that sparsities come from. A fixed pattern (N:M) removes
 * what it removes from a matrix, so a target below it is met by the matrices that take the pattern on: those in model order that
 * `matricesWithPattern` picks.
 */
export function removals(model: Model, { pattern, compare, target, sparsityOf }: RemovalSettings): Removals {
  if (pattern.kind === 'free') {
    return (weight) => {
      const sparsity = sparsityOf?.(weight) ?? target;
      return { mask: (scores): Mask => pattern.mask(scores, { sparsity, compare }) };
    };
  }
  const chosen = matricesOf(pattern, model, target);
  const removal: Removal = { group: pattern.group, mask: (scores) => pattern.mask(scores) };
  return (weight) => (chosen.has(weight) ? removal : undefined);
}

function matricesOf(pattern: FixedPattern, model: Model, target: number): ReadonlySet<string> {
  const matrices = model.decoder.blocks.flatMap(({ index }) =>
    prunableLinears(model, index).map((linear) => ({ name: linear.weight, elements: linear.rows * linear.columns })),
  );
  return matricesWithPattern(matrices, Math.min(1, target / pattern.sparsity));
}
