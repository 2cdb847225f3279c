/** How long thresholds are looked for, and how far they may go; the recipe has it. */
export interface ThresholdSearch {
  /** Generations at most. */
  readonly generations: number;
  /** Candidates of a generation. */
  readonly offspring: number;
  /** Ends after so many generations in a row without a gain; see `MIN_GAIN`. */
  readonly patience: number;
  /** Price of thresholds that are far from the target: see `extremity`. */
  readonly regularization: number;
}

/** The paper has 400 generations of 64 from the uniform division; this search starts nearer and knows what clusters cost. */
export const DEFAULT_SEARCH: ThresholdSearch = { generations: 40, offspring: 16, patience: 8, regularization: 0.02 };

/** A generation that gains less than this part of the divergence has gained nothing. */
export const MIN_GAIN = 0.002;
