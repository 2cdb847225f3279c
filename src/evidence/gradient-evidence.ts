/** What a backward pass showed of one linear weight; a kind that was not asked for is absent. [rows, columns] row-major. */
export interface WeightGradients {
  readonly rows: number;
  readonly columns: number;
  /** dL/dW, L the mean next-token cross-entropy (nats) over every predicted token of the calibration text. */
  readonly gradient?: Float32Array;
  /** (1/N) Σ_n (dL_n/dW)² over the N windows, L_n the mean cross-entropy within window n. */
  readonly fisher?: Float32Array;
}

/** One block's gradients on the host, by the stored name of the weight. */
export interface BlockGradients {
  readonly block: number;
  readonly weights: ReadonlyMap<string, WeightGradients>;
}
