import { type Kind, type PlannedBlow, planBlows } from './blows.js';
import type { Lane, Prepared } from './lane.js';
import type { Scenario } from './scenarios.js';
import { type Trial, tryOnce } from './trial.js';

export interface SweepOptions {
  readonly kind: Kind;
  /** At most so many trials, spread evenly over the command's calls; all of them when absent. */
  readonly sample?: number;
  readonly onTrial?: (trial: Trial) => void;
}

export interface SweepRow {
  readonly command: string;
  readonly situation: string;
  readonly kind: Kind;
  /** Calls of the undisturbed command that change something. */
  readonly calls: number;
  readonly trials: number;
  /** Trials in which strace's log says that the blow fell. */
  readonly fired: number;
  /** How the state stood right after. */
  readonly before: number;
  readonly after: number;
  readonly mixed: number;
  readonly absent: number;
  readonly unchanged: number;
  readonly failures: readonly string[];
  readonly seconds: number;
}

/** Strikes a scenario at every point, or a sample of them, and counts how it ended. */
export async function sweepScenario(
  scenario: Scenario,
  lanes: readonly Lane[],
  options: SweepOptions,
): Promise<SweepRow> {
  const start = performance.now();
  const prepared = await allOf(lanes.map((lane) => lane.prepare(scenario)));
  refuseDifference(prepared);
  const all = planBlows(options.kind, prepared[0]!);
  const queue = sampleOf(all, options.sample ?? all.length);
  const trials: Trial[] = [];
  const work = async (lane: Lane, i: number): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const trial = await tryOnce(lane, prepared[i]!, next);
      trials.push(trial);
      options.onTrial?.(trial);
    }
  };
  await allOf(lanes.map(work));
  const { command, situation } = scenario;
  const seconds = (performance.now() - start) / 1000;
  return { command, situation, kind: options.kind, calls: prepared[0]!.points.length, ...countsOf(trials), seconds };
}

function countsOf(trials: readonly Trial[]): Omit<SweepRow, 'command' | 'situation' | 'kind' | 'calls' | 'seconds'> {
  const count = (test: (trial: Trial) => boolean): number => trials.filter(test).length;
  return {
    trials: trials.length,
    fired: count(({ fired }) => fired),
    before: count(({ standing }) => standing === 'before'),
    after: count(({ standing }) => standing === 'after'),
    mixed: count(({ standing }) => standing === 'some of each'),
    absent: count(({ standing }) => standing === 'absent'),
    unchanged: count(({ standing }) => standing === 'unchanged'),
    failures: trials.flatMap(({ name, failure }) => (failure === undefined ? [] : [`${name}: ${failure}`])),
  };
}

/** As Promise.all, but waits for all of them also when one fails: none may work on in a lane that is being closed. */
async function allOf<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/** The lanes differ in their paths alone; another order of calls would make "the same point" mean two things. */
function refuseDifference(prepared: readonly Prepared[]): void {
  const [first, ...others] = prepared.map(({ points }) =>
    points.map(({ call, ordinal }) => `${call} ${ordinal}`).join(),
  );
  if (others.some((calls) => calls !== first)) throw new Error('two undisturbed runs made different calls');
}

/** Evenly spaced, first and last included. */
function sampleOf(all: readonly PlannedBlow[], size: number): PlannedBlow[] {
  if (size >= all.length) return [...all];
  return Array.from({ length: size }, (_, i) => all[Math.round((i * (all.length - 1)) / Math.max(1, size - 1))]!);
}
