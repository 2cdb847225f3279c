import { formatPercent } from './quantities.js';

/** What of a wave is looked at here. */
export interface ForetoldWave {
  readonly wave: number;
  readonly foretold?: {
    readonly blocks: readonly {
      readonly expected: number;
      readonly low: number;
      readonly high: number;
      readonly actual: number;
    }[];
  };
}

/** What the waves before each wave said of the error behind the last block, and what came. */
export function foretoldLines(waves: readonly ForetoldWave[]): string[] {
  return waves.flatMap(({ wave, foretold }) => {
    const last = foretold?.blocks.at(-1);
    if (last === undefined) return [];
    const { expected, low, high, actual } = last;
    const came = actual > high ? 'above what was' : actual < low ? 'below what was' : 'as';
    const range = `${formatPercent(expected)} (${formatPercent(low)} to ${formatPercent(high)})`;
    return [`foretold    wave ${wave}: output error ${range}; ${formatPercent(actual)} came, ${came} expected`];
  });
}
