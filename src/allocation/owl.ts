import type { Allocation, AllocationRequest } from './allocation.js';
import { budgetOf, type Counts, fitBudget } from './budget.js';

/** M: a weight whose score is this many times its block's mean is an outlier. The paper's value for LLaMA. */
const OUTLIER_MULTIPLE = 5;
/** λ: no block's sparsity is further from the mean than twice this. The paper's value. */
const SPREAD = 0.08;

const owl: Allocation = { kind: 'measured', allocate: byOutliers };

export default owl;

/**
 * Blocks with more outliers lose less, all matrices of a block alike: r_l = 2λ (D_l − min D) / (max D − min D), and the sparsity
 * of block l is the target − (r_l − mean r). Source: Yin et al. 2024, "Outlier Weighed Layerwise Sparsity (OWL)".
 */
export async function byOutliers({ matrices, target, probe }: AllocationRequest): Promise<Counts> {
  const shares = await probe.outlierShares(OUTLIER_MULTIPLE);
  const sparsities = blockSparsities(shares, target);
  return fitBudget(matrices, ({ block }) => sparsities[block]!, budgetOf(matrices, target));
}

export function blockSparsities(outlierShares: readonly number[], target: number): number[] {
  const [least, most] = [Math.min(...outlierShares), Math.max(...outlierShares)];
  if (most === least) return outlierShares.map(() => target);
  const kept = outlierShares.map((share) => (2 * SPREAD * (share - least)) / (most - least));
  const mean = kept.reduce((sum, value) => sum + value, 0) / kept.length;
  return kept.map((value) => target - (value - mean));
}
