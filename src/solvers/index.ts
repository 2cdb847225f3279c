import { registryOf } from '../registry.js';
import type { Solver } from './solver.js';

export type { DampingOptions, Gram } from './damping.js';
export { symmetricEigen } from './eigen.js';
export { leastSquaresFold, type Weight } from './fold.js';
export { GPTQ_COST, type GptqInputs, type GptqResult, gptq, prepareGptq } from './gptq.js';
export type { Grid } from './grid.js';
export { type InverseFactor, type InverseOptions, inverseDiagonal, inverseUpperFactor } from './inverse.js';
export { lowerFactor } from './lower-factor.js';
export { groupErrors, outputError } from './output-error.js';
export { wholePanel } from './panel.js';
export { matrixProducts } from './products.js';
export type { RoundingTiles } from './rounding-tiles.js';
export type { Prune, Refit, Removal, Solver, SolverContext, SolverCost, SolverMatrix } from './solver.js';

/** `--solver`: what becomes of the weights that stay. */
export const solvers = registryOf<Solver>()('solver', {
  none: () => import('./none.js'),
  refit: () => import('./refit.js'),
  sparsegpt: () => import('./sparsegpt.js'),
  'sparsegpt-refit': () => import('./sparsegpt-refit.js'),
  alps: () => import('./alps.js'),
});
