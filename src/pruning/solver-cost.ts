import type { LinearSpec, Model } from '../model/index.js';
import type { SolverCost } from '../solvers/index.js';
import { prunableLinears } from './plan-masks.js';

/** What an edit costs besides running text through the blocks. */
export interface EditCost {
  /** Floating-point operations of one wave. */
  readonly flops: number;
  /** Host memory for Gram matrices and what is made of them, at most. */
  readonly gramBytes: number;
}

/** Beside the widest Gram matrix, the others of its pass and what a factorization needs (docs/solvers.md). */
const GRAMS = 3;

/** The cost of collecting every input's Gram matrix over so many tokens, and of solving every linear. */
export function solverCost(model: Model, cost: SolverCost, tokens: number): EditCost {
  let flops = 0;
  let widest = 0;
  for (const { index } of model.decoder.blocks) {
    const linears = prunableLinears(model, index);
    for (const columns of widthsOf(linears)) {
      flops += 2 * tokens * columns ** 2 + cost.perInput(columns);
      widest = Math.max(widest, columns);
    }
    for (const { rows, columns } of linears) flops += cost.perMatrix(rows, columns);
  }
  return { flops, gramBytes: GRAMS * 4 * widest ** 2 };
}

function widthsOf(linears: readonly LinearSpec[]): Iterable<number> {
  return new Map(linears.map(({ input, columns }) => [input, columns])).values();
}
