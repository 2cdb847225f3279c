/** What one passage scored. Sums, so that passages add up. */
export interface PassageScore {
  /** Scored predictions: ids.length − 1. */
  readonly tokens: number;
  /** Σ −ln p(token), nats, f64. */
  readonly negativeLogLikelihood: number;
  /** Predictions whose arg-max was right. */
  readonly correct: number;
}

/** Against a base model on the same passages, per passage. */
export interface PassageComparison {
  /** Σ KL(base ‖ model) over positions, nats. */
  readonly divergence: number;
  /** Positions where both models' arg-max is the same. */
  readonly sameTop: number;
  /** Positions that were right under the base and are wrong now, and the other way round. */
  readonly lost: number;
  readonly gained: number;
}
