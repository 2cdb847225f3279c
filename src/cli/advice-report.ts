import { table } from './picture.js';
import { formatBytes, formatPercent } from './quantities.js';

export interface Advice {
  readonly model: string;
  readonly hardware: { readonly name: string; readonly description: string; readonly source: string };
  readonly context: number;
  readonly batch: number;
  readonly candidates: readonly {
    readonly strategy: string;
    readonly bitsPerWeight: number;
    readonly weightBytes: number;
    readonly cacheBytes: number;
    readonly memoryBytes: number;
    readonly tokensPerSecond: number;
    readonly promptTokensPerSecond: number;
    readonly bound: string;
    readonly against: readonly string[];
  }[];
  /** Absent where nothing keeps to the limits. */
  readonly chosen?: string;
  readonly reason: string;
  /** Whether the same was asked before, and the answer kept. */
  readonly remembered: boolean;
  /** What to type. */
  readonly command?: string;
  /** The fraction of the weights that has to be shed before the smallest fits. */
  readonly shed?: number;
}

/** The strategies as a table, what was chosen and why, and what to type. */
export function renderAdvice(advice: Advice): string {
  const { hardware, context, batch, candidates, chosen, reason, command, shed, remembered } = advice;
  const rows = candidates.map((candidate) => [
    candidate.strategy === chosen ? `${candidate.strategy} ←` : candidate.strategy,
    candidate.bitsPerWeight.toFixed(2),
    formatBytes(candidate.weightBytes),
    formatBytes(candidate.memoryBytes),
    candidate.tokensPerSecond.toPrecision(3),
    candidate.promptTokensPerSecond.toPrecision(3),
    candidate.bound,
    candidate.against.length === 0 ? '' : 'out',
  ]);
  const header = ['strategy', 'bits', 'weights', 'memory', 'tokens/s', 'prompt tokens/s', 'bound by', ''];
  const sequences = batch === 1 ? 'one sequence' : `${batch} sequences`;
  return [
    `${hardware.description}; ${sequences} of ${context} tokens (figures: ${hardware.source})`,
    '',
    table(rows, header),
    '',
    remembered ? `${reason} (--fresh chooses anew)` : reason,
    ...(shed === undefined
      ? []
      : [
          `It would fit after shedding ${formatPercent(shed, 0)} of the weights: birdbone prune … --plates auto --sparsity ${shed}`,
        ]),
    ...(command === undefined ? [] : ['', command]),
  ].join('\n');
}
