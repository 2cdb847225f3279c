import type { BudgetMatrix } from '../allocation/index.js';

/** What a cluster is like; thresholds are reasoned from it. */
export interface ClusterFigures {
  /** Mean over its weights of |W_ij| · ‖X_j‖₂ in the dense model. */
  readonly importance: number;
  /** Variance of its outputs over rows and tokens; 0 where no text was looked at. */
  readonly variance: number;
  /** The fraction of its weights that are not 0. */
  readonly density: number;
  /** 1 − ‖Y' − Y‖² / ‖Y‖² of its outputs against the dense model's: 1 where they have not drifted, 0 where nothing is left of them. */
  readonly health: number;
}

/**
 * A set of neurons that share a threshold: output rows of a matrix, whose elements are weights, or channels of a network, which are
 * elements themselves. Its name is the matrix's (or network's) and its own number: `….weight#2`.
 */
export interface ThresholdCluster extends BudgetMatrix {
  readonly matrix: string;
  /** Its number within the matrix. */
  readonly cluster: number;
  /** Its neurons: output rows of the matrix, or channels. */
  readonly rows: number;
  /** Clusters trade what they remove with others of their pool alone: all of a model's, or those of one block. Numbered from 0. */
  readonly pool: number;
  readonly figures: ClusterFigures;
  /**
   * What removing a share of every row takes away of Σ (W_ij ‖X_j‖₂)², at ERROR_LEVELS even steps from nothing to all of it: rises
   * ever faster, since the smallest go first.
   */
  readonly errors: Float64Array;
  /** What the recipe set by hand, if anything. */
  readonly override?: string;
}

/** Steps at which errors are known: a sixty-fourth of a row. */
export const ERROR_LEVELS = 64;

/** How much is to be gone of each pool, by its number. */
export type Budgets = readonly number[];

/** The name of a matrix's cluster. */
export function clusterName(matrix: string, cluster: number): string {
  return `${matrix}#${cluster}`;
}

/** What is removed of a cluster's error sum at a sparsity, between the steps in a straight line. */
export function errorAt({ errors }: Pick<ThresholdCluster, 'errors'>, sparsity: number): number {
  const place = Math.min(1, Math.max(0, sparsity)) * ERROR_LEVELS;
  const below = Math.min(ERROR_LEVELS - 1, Math.floor(place));
  return errors[below]! + (place - below) * (errors[below + 1]! - errors[below]!);
}
