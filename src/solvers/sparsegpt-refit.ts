import { maskFrom } from '../sparsity/index.js';
import { refitOnSupport } from './conjugate-gradient.js';
import { dampDiagonal } from './damping.js';
import { matrixProducts } from './products.js';
import type { Solver } from './solver.js';
import sparsegpt from './sparsegpt.js';

/** The mask of SparseGPT with all weights inside it fitted anew: its sweep never corrects what lies left of a removed weight. */
const sparsegptRefit: Solver = {
  kind: 'prunes',
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
        iterations: 10,
        products,
        signal: context.signal,
      });
    };
  },
};

export default sparsegptRefit;
