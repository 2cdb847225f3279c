import { gramSumBytes } from '../evidence/index.js';
import type { LinearInput, LinearSpec, Model } from '../model/index.js';
import type { SolverCost } from '../solvers/index.js';
import type { GradientCost } from './gradient-cost.js';
import { inputGroups } from './input-groups.js';
import { prunableLinears } from './plan-masks.js';

/** What an edit costs besides running text through the blocks. */
export interface EditCost {
  /** Floating-point operations of one wave. */
  readonly flops: number;
  /** Host memory for Gram matrices and what is made of them, at most. */
  readonly gramBytes: number;
  /** The same of a device that keeps their sums until a pass is done: of the pass with the most, and while a product is added to them. */
  readonly gramSums: { readonly kept: number; readonly adding: number };
  /** Absent of what looks at no gradient. */
  readonly gradients?: GradientCost;
}

/** Of what needs no Gram matrices. */
export const NO_GRAMS = { gramBytes: 0, gramSums: { kept: 0, adding: 0 } } as const satisfies Partial<EditCost>;

/** Beside the widest Gram matrix, the others of its pass and what a factorization needs (docs/solvers.md). */
const GRAMS = 3;

/** The cost of collecting every input's Gram matrix over so many tokens, and of solving every linear. */
export function solverCost(model: Model, cost: SolverCost, tokens: number): EditCost {
  let flops = 0;
  let [widest, kept] = [0, 0];
  for (const { index } of model.decoder.blocks) {
    const linears = prunableLinears(model, index);
    const widths = widthsOf(linears);
    for (const columns of widths.values()) {
      flops += 2 * tokens * columns ** 2 + cost.perInput(columns);
      widest = Math.max(widest, columns);
    }
    for (const inputs of inputGroups(linears)) {
      const together = [...inputs].reduce((sum, input) => sum + gramSumBytes(widths.get(input)!).kept, 0);
      kept = Math.max(kept, together);
    }
    for (const { rows, columns } of linears) flops += cost.perMatrix(rows, columns);
  }
  return { flops, gramBytes: GRAMS * 4 * widest ** 2, gramSums: { kept, adding: gramSumBytes(widest).adding } };
}

function widthsOf(linears: readonly LinearSpec[]): ReadonlyMap<LinearInput, number> {
  return new Map(linears.map(({ input, columns }) => [input, columns]));
}
