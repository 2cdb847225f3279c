import { registryOf } from '../registry.js';
import type { Allocation } from './allocation.js';

export type { Allocation, AllocationRequest, Candidate, Contest, Probe } from './allocation.js';
export { type BudgetMatrix, budgetOf, type Counts, fitBudget } from './budget.js';
export { byError, waterFill } from './error.js';
export { byOutliers } from './owl.js';

/** `--thresholds`: how a sparsity is divided over the matrices, or over clusters of their rows. */
export const allocations = registryOf<Allocation>()('allocation', {
  uniform: () => import('./uniform.js'),
  owl: () => import('./owl.js'),
  error: () => import('./error.js'),
  evolve: () => import('./evolve.js'),
  cluster: () => import('./cluster.js'),
});
