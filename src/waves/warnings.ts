import {
  CHARTS,
  type ChartPoint,
  type ChartSettings,
  cusum,
  ewma,
  type Observation,
  selfStarting,
  sharedBy,
} from '../spikes/index.js';
import type { Warning } from '../state/index.js';

/** What a wave that passed its gate says about the damage so far. */
export interface DamagePoint {
  /** Parameters removed after it, by it and by all waves before. */
  readonly removed: number;
  /** Relative loss against the dense model, and the standard error of its measurement. */
  readonly accuracyLoss: number;
  readonly accuracyLossError: number;
  /** Relative error of each block's output; absent where blocks were not looked at. */
  readonly blocks?: readonly number[];
}

/** Block errors are computed in float32 and come out the same on the same device: what they are uncertain by is rounding. */
const ROUNDING = 2 ** -23;

/**
 * The warnings that the last of these waves gives: charts of the damage that each wave did for each parameter that it removed,
 * accuracy lost and error of each block's output. A chart that sounded at a wave before begins anew, and says nothing until damage
 * grows again. Pure.
 */
export function warningsAt(waves: readonly DamagePoint[]): Warning[] {
  const accuracy = chartsOf(accuracyRates(waves), CHARTS).map(({ reason, ...alarm }): Warning => {
    return { series: 'accuracy', ...alarm, reason: `accuracy is lost ${reason}` };
  });
  const blocks = waves.at(-1)?.blocks?.length ?? 0;
  const settings = sharedBy(CHARTS, blocks);
  const inBlocks = Array.from({ length: blocks }, (_, block) =>
    chartsOf(blockRates(waves, block), settings).map(({ reason, ...alarm }): Warning => {
      return { series: 'block', block, ...alarm, reason: `the error of block ${block}'s output grows ${reason}` };
    }),
  );
  return [...accuracy, ...inBlocks.flat()];
}

type Alarm = Pick<Warning, 'chart' | 'value' | 'limit' | 'reason' | 'severity'>;

/** The charts that sound at the last observation. */
function chartsOf(rates: readonly Observation[], settings: ChartSettings): Alarm[] {
  const deviates = selfStarting(rates);
  const charts: readonly (readonly [Alarm['chart'], ChartPoint | undefined])[] = [
    ['cusum', cusum(deviates, settings).at(-1)],
    ['ewma', ewma(deviates, settings).at(-1)],
  ];
  const sounding = charts.filter(([, point]) => point?.alarm).length;
  // A wave that alone is as far off as all together may be has jumped; others have crept up to it.
  const severity = (deviates.at(-1) ?? 0) > settings.h ? 'spike' : sounding > 1 ? 'degrading' : 'slight';
  return charts.flatMap(([chart, point]) => {
    if (point === undefined || !point.alarm) return [];
    const { value, limit } = point;
    const shown = `${chart.toUpperCase()} ${value.toFixed(2)}, limit ${limit.toFixed(2)}`;
    return [{ chart, value, limit, severity, reason: `${fasterThan(rates)} (${shown})` }];
  });
}

/** The last rate in words, beside the mean of those before. */
function fasterThan(rates: readonly Observation[]): string {
  const before = rates.slice(0, -1);
  const mean = before.reduce((sum, { value }) => sum + value, 0) / before.length;
  const now = rates.at(-1)!.value;
  if (mean <= 0 || now <= mean) return 'faster for each parameter than in the waves before';
  return `${(now / mean).toFixed(1)} times as fast for each parameter as in the waves before`;
}

/** Relative accuracy lost for each parameter, wave by wave. */
function accuracyRates(waves: readonly DamagePoint[]): Observation[] {
  const dense = { removed: 0, accuracyLoss: 0, accuracyLossError: 0 };
  return ratesOf([dense, ...waves], ({ accuracyLoss, accuracyLossError }) => {
    return { value: accuracyLoss, error: accuracyLossError };
  });
}

/** Error of a block's output for each parameter, from the first wave that touched the block or one before it. */
function blockRates(waves: readonly DamagePoint[], block: number): Observation[] {
  const errorOf = ({ blocks }: DamagePoint) => blocks?.[block] ?? 0;
  const first = waves.findIndex((wave) => errorOf(wave) > 0);
  if (first < 0) return [];
  const before = waves[first - 1] ?? { removed: 0, accuracyLoss: 0, accuracyLossError: 0 };
  return ratesOf([before, ...waves.slice(first)], (wave) => {
    return { value: errorOf(wave), error: ROUNDING * errorOf(wave) };
  });
}

/** How fast a measured quantity grows with the parameters removed, from each wave to the next that removed some. */
function ratesOf(waves: readonly DamagePoint[], measured: (wave: DamagePoint) => Observation): Observation[] {
  return waves.slice(1).flatMap((wave, index) => {
    const before = waves[index]!;
    const parameters = wave.removed - before.removed;
    if (parameters <= 0) return [];
    const [was, is] = [measured(before), measured(wave)];
    // Both ends of a step were measured; that they share passages makes the difference surer than this.
    return [{ value: (is.value - was.value) / parameters, error: Math.hypot(is.error, was.error) / parameters }];
  });
}
