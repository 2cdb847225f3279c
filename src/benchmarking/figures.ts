import type { Demands } from './demands.js';

export const ENGINES = ['birdbone', 'llama.cpp'] as const;
export type EngineName = (typeof ENGINES)[number];

/** What repeated measurements of one thing came to. */
export interface Spread {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

/** One round of one engine: each figure once. */
export interface Round {
  /** From the path to weights that are ready: in llama.cpp mapped and unpacked, here read, widened and on the device once. */
  readonly loadSeconds: number;
  readonly promptTokensPerSecond: number;
  /** One token after the other; absent: the engine does not generate. */
  readonly generatedTokensPerSecond?: number;
}

/** Figures of a round that are compared, and whether more is better. */
export const ROUND_FIGURES = {
  loadSeconds: 'less',
  promptTokensPerSecond: 'more',
  generatedTokensPerSecond: 'more',
} as const satisfies Record<keyof Round, 'less' | 'more'>;

/** One model in one engine. */
export interface EngineFigures {
  readonly engine: EngineName;
  /** Device or library in words. */
  readonly description: string;
  readonly loadSeconds: Spread;
  readonly promptTokensPerSecond: Spread;
  readonly generatedTokensPerSecond?: Spread;
  /** Most memory that the engine's own process held, and what it held before it opened the model. The GPU's own is not in it. */
  readonly peakBytes: number;
  readonly idleBytes: number;
  /** Each round by itself: those of one number ran side by side in all engines. */
  readonly rounds: readonly Round[];
}

export interface ModelFigures {
  /** `base` is what the other one is compared with. */
  readonly role: 'model' | 'base';
  readonly name: string;
  readonly path: string;
  readonly format: string;
  readonly parameters: number;
  readonly bytes: number;
  readonly bitsPerWeight: number;
  readonly demands: Demands;
  readonly engines: readonly EngineFigures[];
}

/** The model over its base, by figure; of timed figures, the spread of the ratios of rounds that ran turn about. */
export interface ModelComparison {
  readonly bytes: number;
  readonly operations: number;
  readonly bytesPerToken: number;
  readonly engines: readonly ({ readonly engine: EngineName; readonly peakBytes: number } & {
    readonly [figure in keyof Round]?: Spread;
  })[];
}

export interface Benchmark {
  readonly context: number;
  readonly windows: number;
  readonly generated: number;
  readonly repeats: number;
  /** The base first, where there is one. */
  readonly models: readonly ModelFigures[];
  readonly comparison?: ModelComparison;
  /** What was left out, and how to get it. */
  readonly notices: readonly string[];
  /** File that the picture was written to. */
  readonly picture?: string;
}

/** Throws RangeError for no values. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('the spread of nothing');
  const sorted = [...values].sort((left, right) => left - right);
  const [below, above] = [sorted[(sorted.length - 1) >> 1]!, sorted[sorted.length >> 1]!];
  return { median: (below + above) / 2, lowest: sorted[0]!, highest: sorted.at(-1)! };
}
