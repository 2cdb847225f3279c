import { combineMasks, maskFrom } from '../sparsity/index.js';
import { refitOnSupport } from './conjugate-gradient.js';
import { dampDiagonal, type Gram } from './damping.js';
import { matrixProducts } from './products.js';
import type { Refit, Solver, SolverContext } from './solver.js';

/** Past this many, the error of the outputs falls by less than a hundredth of what the first one took off (docs/solvers.md). */
const ITERATIONS = 20;

/** Keeps the mask that a metric chose, and fits the weights inside it to the outputs of the whole matrix. */
const refit: Solver = {
  kind: 'refits',
  cost: { perInput: () => 0, perMatrix: (rows, columns) => 2 * ITERATIONS * rows * columns ** 2 },
  prepare: async (gram, context) => {
    dampDiagonal(gram, context.name);
    return refitter(gram, context);
  },
};

export default refit;

/** Refits matrices of one input; `gram` is damped already and is not modified. */
export function refitter(gram: Gram, { device, signal }: SolverContext): Refit {
  const products = matrixProducts(device);
  return async (matrix, mask) => {
    const wanted = matrix.values.slice();
    // A weight that is gone stays gone, also where the mask would keep it.
    const support = combineMasks(mask, maskFrom(wanted, matrix.rows, matrix.columns));
    await refitOnSupport(matrix, {
      gram: gram.values,
      wanted,
      mask: support,
      iterations: ITERATIONS,
      products,
      signal,
    });
  };
}
