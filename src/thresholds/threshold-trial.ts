import type { Candidate } from '../allocation/index.js';

/** Text that thresholds are found on, and text that only decides in the end which of those found are taken. */
export type TrialText = 'tuning' | 'deciding';

/** Compares candidates by what they do to the model's predictions. */
export interface ThresholdTrial {
  /** Tokens that there are of each text; none of one is in the other. */
  readonly tokens: Readonly<Record<TrialText, number>>;
  /** Mean KL(dense ‖ candidate) in nats over the first `tokens` tokens of a text, of each candidate: sparsities by cluster. */
  divergences(candidates: readonly Candidate[], text: TrialText, tokens: number): Promise<readonly number[]>;
}
