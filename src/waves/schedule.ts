/** How the target sparsity is approached, wave by wave. */
export const SCHEDULES = ['constant', 'linear', 'cubic'] as const;
export type Schedule = (typeof SCHEDULES)[number];

/**
 * The sparsity after each of `waves` waves, rising, the last one exactly `target`.
 *
 * - `constant`: the whole target in the first wave.
 * - `linear`: equal steps.
 * - `cubic`: large steps while the model has much to spare, small ones at the end:
 *   s_t = s_f · (1 − (1 − t/T)³). Source: Zhu & Gupta 2017, "To prune, or not to prune", eq. 1 with s_i = 0.
 */
export function targets(schedule: Schedule, target: number, waves: number): number[] {
  if (schedule === 'constant') return [target];
  return Array.from({ length: waves }, (_, index) => {
    if (index === waves - 1) return target;
    const done = (index + 1) / waves;
    return target * (schedule === 'linear' ? done : 1 - (1 - done) ** 3);
  });
}
