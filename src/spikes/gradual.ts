import { median } from 'simple-statistics';
import { type Baseline, levelOf, longRun } from './baseline.js';
import { cusumPoint, ewmaPoint } from './control-charts.js';
import { type TrainingStep, type Vote, voteOf } from './reading.js';
import type { SpikeSettings } from './settings.js';
import type { Sounded, SpikeState } from './state.js';

/** What gradual detectors say of a step, and what they remember of it. */
export interface Gradual {
  readonly votes: readonly Vote[];
  readonly next: Partial<SpikeState>;
  readonly sounded: readonly Sounded[];
}

export const QUIET: Gradual = { votes: [], next: {}, sounded: [] };

/**
 * The votes of the charts. Their deviates are drawn in, so that one outlier alone sounds neither (Lucas & Crosier 1982, "Robust CUSUM",
 * Technometrics 24), and are smaller the longer the noise remembers.
 */
export function chartVotes(
  { step, loss }: TrainingStep,
  state: SpikeState,
  { centre, scale, correlation }: Baseline,
  { charts, furthest }: SpikeSettings,
): Gradual {
  const drawn = Math.max(-furthest, Math.min(furthest, (levelOf(loss) - centre) / scale));
  const z = drawn / longRun(correlation);
  const sum = cusumPoint(state.cusum.sum, z, charts);
  const average = ewmaPoint(state.ewma, z, charts);
  // An average does not know when it began to rise; the sum does.
  const since = state.cusum.since ?? step;
  const votes = [voteOf('ewma', average.value, average.limit), voteOf('cusum', sum.value, sum.limit)];
  return {
    votes,
    next: {
      cusum: sum.alarm || sum.value === 0 ? { sum: 0, since: null } : { sum: sum.value, since },
      ewma: average.alarm ? { average: 0, count: 0 } : { average: average.value, count: state.ewma.count + 1 },
    },
    sounded: votes.flatMap((vote) => soundedOf(vote, state.count, since)),
  };
}

/**
 * The vote on a slow rise, every `trendSteps` steps: whether their median lies above the lowest that there was, in standard errors of
 * the difference. Slow or fast, whatever is lost again since the best steps is found.
 */
export function trendVote(
  { step, loss }: TrainingStep,
  { levels, count, lowest }: SpikeState,
  { scale, correlation }: Baseline,
  { trendSteps, trend }: SpikeSettings,
): Gradual {
  if ((count + 1) % trendSteps !== 0) return QUIET;
  const now = { median: median([...levels.slice(1 - trendSteps), levelOf(loss)]), step };
  if (lowest === null || now.median <= lowest.median) return { ...QUIET, next: { lowest: now } };
  const error = MEDIAN_ERROR * scale * longRun(correlation) * Math.sqrt(2 / trendSteps);
  const vote = voteOf('trend', (now.median - lowest.median) / error, trend);
  return { votes: [vote], next: {}, sounded: soundedOf(vote, count, lowest.step + 1) };
}

/** The standard error of a median of normal values over that of their mean: √(π/2). */
const MEDIAN_ERROR = Math.sqrt(Math.PI / 2);

function soundedOf({ detector, value, limit, alarm }: Vote, at: number, since: number): Sounded[] {
  if (!alarm) return [];
  return [{ detector, weight: value === null || value > 2 * limit ? 2 : 1, at, since }];
}
