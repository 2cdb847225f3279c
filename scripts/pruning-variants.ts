import type { Method } from '../test/reference/pruning.js';

/** Text of each checkpoint, and the evaluation windows that both sides score: the float64 side sets the pace. */
export const CASES = [
  { model: 'tinystories-656k', data: 'tinystories-1000', windows: Number.POSITIVE_INFINITY },
  { model: 'stories260k', data: 'tinystories-1000', windows: Number.POSITIVE_INFINITY },
  { model: 'novels-5m', data: 'novels', windows: 128 },
];
export type Case = (typeof CASES)[number];

export const CONTEXT = 256;
export const CALIBRATION_WINDOWS = 128;

export interface Variant {
  readonly method?: Method;
  readonly pattern: string;
}

/** Every row of the table, for each checkpoint. At 70 % the allocations of src/allocation stand beside the uniform rows. */
export const VARIANTS: readonly Variant[] = [
  { pattern: 'dense' },
  ...['50%', '2:4', '4:8'].flatMap((pattern) =>
    (['magnitude', 'wanda', 'sparsegpt', 'sparsegpt + refit', 'alps'] as const).map((method) => ({ method, pattern })),
  ),
  { method: 'wanda + refit', pattern: '2:4' },
  { method: 'wanda', pattern: '70%' },
  { method: 'sparsegpt', pattern: '70%' },
];
