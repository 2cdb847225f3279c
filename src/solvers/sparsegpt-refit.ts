import { maskFrom } from '../sparsity/index.js';
import { refitOnSupport } from './conjugate-gradient.js';
import { dampDiagonal } from './damping.js';
import { matrixProducts } from './products.js';
import type { Solver } from './solver.js';
import sparsegpt, { SWEEP_COST } from './sparsegpt.js';

/** The sweep has done most of the work already. */
const ITERATIONS = 10;

/** The mask of SparseGPT with all weights inside it fitted anew: its sweep never corrects what lies left of a removed weight. */
const sparsegptRefit: Solver = {
  kind: 'prunes',
  cost: {
    perInput: SWEEP_COST.perInput,
    perMatrix: (rows, columns) => SWEEP_COST.perMatrix(rows, columns) + 2 * ITERATIONS * rows * columns ** 2,
  },
  async prepare(gram, context) {
    if (sparsegpt.kind !== 'prunes') throw new Error('sparsegpt chooses its masks');
    const damped = { values: gram.values.slice(), columns: gram.columns };
    dampDiagonal(damped, context.name);
    const prune = await sparsegpt.prepare(gram, context);
    const products = matrixProducts(context.device);
    return async (matrix, removal) => {
      const wanted = matrix.values.slice();
      await prune(matrix, removal);
      const mask = maskFrom(matrix.values, matrix.rows, matrix.columns);
      await refitOnSupport(matrix, {
        gram: damped.values,
        wanted,
        mask,
        iterations: ITERATIONS,
        products,
        signal: context.signal,
      });
    };
  },
};

export default sparsegptRefit;
