import type { Model } from '../model/index.js';
import type { FixedPattern, MatrixScores, Pattern } from '../sparsity/index.js';
import { fullMask, type Mask, matricesWithPattern } from '../sparsity/index.js';

/** Turns one matrix's scores into its mask; made once for a wave. */
export type MaskRule = (scores: MatrixScores) => Mask;

/**
 * The rule by which a wave with this target masks each matrix. A fixed pattern (N:M) removes what it removes from a matrix,
 * so a target below it is met by the matrices that take the pattern on: those in model order that `matricesWithPattern` picks.
 */
export function maskRule(pattern: Pattern, model: Model, target: number, compare: 'row' | 'layer'): MaskRule {
  if (pattern.kind === 'free') return (scores) => pattern.mask(scores, { sparsity: target, compare });
  const chosen = matricesOf(pattern, model, target);
  return (scores) => (chosen.has(scores.name) ? pattern.mask(scores) : fullMask(scores.rows, scores.columns));
}

function matricesOf(pattern: FixedPattern, model: Model, target: number): ReadonlySet<string> {
  const matrices = model.decoder.blocks.flatMap((block) =>
    block.linears.map((linear) => ({ name: linear.weight, elements: linear.rows * linear.columns })),
  );
  return matricesWithPattern(matrices, Math.min(1, target / pattern.sparsity));
}
