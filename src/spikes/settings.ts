import type { ChartSettings } from './control-charts.js';

/** Above what each detector sounds, and how far it looks back. */
export interface SpikeSettings {
  /** Steps that are looked back on. */
  readonly window: number;
  /** Deviations above the centre of the window. */
  readonly robustZ: number;
  /** Times the average of the last losses, whose newest weighs `averageWeight`. */
  readonly ratio: number;
  readonly averageWeight: number;
  /** Times the median norm of the window's gradients. */
  readonly gradient: number;
  /** Of deviates drawn in to `furthest`. */
  readonly charts: ChartSettings;
  readonly furthest: number;
  /** Steps whose median is compared with the lowest before, and standard errors that it may lie above. */
  readonly trendSteps: number;
  readonly trend: number;
}

/** Window, robust z, ratio and gradient: ALGORITHMS §3.11. The others: docs/spikes.md has what they were chosen by. */
export const SPIKE_SETTINGS: SpikeSettings = {
  window: 50,
  robustZ: 6,
  ratio: 1.5,
  averageWeight: 0.1,
  gradient: 10,
  charts: { k: 1, h: 6, lambda: 0.1, l: 4 },
  furthest: 3,
  trendSteps: 25,
  trend: 5,
};
