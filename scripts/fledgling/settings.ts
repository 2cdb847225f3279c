import type { TrainingOptions } from './train.js';

/** Seeds of the three texts. Any other three would do; these made the shipped folder. */
export const TEXT_SEEDS = { training: 1, calibration: 2, evaluation: 3 } as const;

/** At 2.1 characters a token: 128 windows of 256 to calibrate on and about as many for a gate, and 160 for evaluation. */
export const TEXT_CHARACTERS = { calibration: 135_000, evaluation: 85_000, tokenizer: 1_000_000 } as const;

export const TRAINING: TrainingOptions = {
  seed: 1,
  steps: 800,
  rows: 4,
  tokens: 256,
  rate: 3e-3,
  finalRate: 3e-5,
  warmUp: 50,
  clip: 1,
  optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 },
};

/** What the model card measures; its slope is what the model is for. */
export const CARD_SPARSITIES = [0.3, 0.5, 0.6, 0.7, 0.8, 0.95] as const;
