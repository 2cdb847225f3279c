import type { BudgetMatrix, Counts } from './budget.js';

/** How much of each matrix a candidate removes, by name: fractions. */
export type Candidate = ReadonlyMap<string, number>;

/** What an allocation may ask of the model that is to be pruned. Every answer comes from the calibration text. */
export interface Probe {
  /**
   * Of each block, the share of its weights whose Wanda score |W_ij| ‖X_j‖ is above `multiple` times the block's mean score.
   */
  outlierShares(multiple: number): Promise<readonly number[]>;
  /**
   * Of each matrix ‖y_s − y‖² / ‖y‖² at every sparsity s of `levels`: y is what its block gives, y_s the same when the matrix alone
   * has lost the weights that Wanda puts last.
   */
  errorCurves(levels: readonly number[]): Promise<ReadonlyMap<string, readonly number[]>>;
  /** Makes what candidates are compared by; closed when the search ends. */
  openContest(): Promise<Contest>;
}

/** Compares candidates by what they do to the model's predictions. */
export interface Contest {
  /** Tokens that there are to measure on. */
  readonly tokens: number;
  /** Mean KL(dense ‖ candidate) in nats over the first `tokens` tokens, of each candidate. */
  divergences(candidates: readonly Candidate[], tokens: number): Promise<readonly number[]>;
  close(): Promise<void>;
}

export interface AllocationRequest {
  readonly matrices: readonly BudgetMatrix[];
  /** The sparsity of all matrices together. */
  readonly target: number;
  readonly probe: Probe;
  readonly seed: number;
  /** Called after each step of a long search. */
  readonly onStep?: (done: number, total: number) => void;
}

/**
 * Divides a sparsity over the matrices. `even` asks nothing: every matrix (or row, or group) loses the same fraction. The others
 * return whole numbers of weights that add up to the budget exactly: `measured` of each matrix, `clustered` of clusters of a matrix's
 * rows (src/thresholds). Deterministic: the same request gives the same counts.
 */
export type Allocation =
  | { readonly kind: 'even' }
  | { readonly kind: 'clustered' }
  | { readonly kind: 'measured'; allocate(request: AllocationRequest): Promise<Counts> };
