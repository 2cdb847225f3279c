import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from 'simple-statistics';

/** Seconds that `work` takes. */
export async function secondsOf(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/**
 * Times two ways of doing the same, turn about and starting with the other one each time, so that whatever else the machine
 * does hits both alike. One unmeasured round first. Each function returns its own seconds.
 */
export async function interleave(
  rounds: number,
  ours: () => Promise<number>,
  theirs: () => Promise<number>,
): Promise<{ readonly ours: number; readonly theirs: number; readonly ratio: number }> {
  const [oursSeconds, theirsSeconds] = (await takeTurns(rounds, [ours, theirs])) as [number[], number[]];
  return { ours: median(oursSeconds), theirs: median(theirsSeconds), ratio: ratioOf(oursSeconds, theirsSeconds) };
}

/**
 * Seconds of each way in each round, one unmeasured round first; every other round goes through the ways backwards. With `between`
 * something is waited for before each turn.
 */
export async function takeTurns(
  rounds: number,
  ways: readonly (() => Promise<number>)[],
  between?: () => Promise<void>,
): Promise<number[][]> {
  for (const way of ways) await way();
  const seconds = ways.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1) {
    const turns = ways.map((way, i) => async () => {
      await between?.();
      seconds[i]!.push(await way());
    });
    for (const turn of round % 2 === 0 ? turns : turns.reverse()) await turn();
  }
  return seconds;
}

/** The machine is looked at this long: ten ticks of the clock by which Linux counts, on each core. */
const LOOK_MS = 100;
/** Share of all cores' time in which something ran, that is taken for none: two ticks of twenty. */
const IDLE_SHARE = 0.1;
const MOST_LOOKS = 600;

/**
 * Resolves when nothing has run on the machine for a tenth of a second: other work is over, and threads that wait in busy loops when
 * they are done, as OpenBLAS's do for 100 ms, have gone to sleep. Throws when that does not come within a minute: what is timed on a
 * busy machine says more of the machine.
 */
export async function untilIdle(): Promise<void> {
  for (let look = 0; look < MOST_LOOKS; look += 1) {
    const before = coreTimes();
    await sleep(LOOK_MS);
    const after = coreTimes();
    if ((after.busy - before.busy) / (after.all - before.all) <= IDLE_SHARE) return;
  }
  throw new Error(`The machine was not idle for ${LOOK_MS} ms in a minute: something else runs on it.`);
}

/** Milliseconds of all cores since the system's start. */
function coreTimes(): { readonly busy: number; readonly all: number } {
  const times = cpus().map((core) => core.times);
  const all = times.flatMap(Object.values<number>).reduce((total, time) => total + time, 0);
  return { busy: all - times.reduce((total, { idle }) => total + idle, 0), all };
}

/** Median over rounds of how many times as fast ours were. */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.map((seconds, round) => theirs[round]! / seconds));
}

/** Seconds from start to end of a program; throws when it fails. */
export function secondsOfProgram(command: string, args: readonly string[]): number {
  const start = performance.now();
  const { status, error, stderr } = spawnSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
  const seconds = (performance.now() - start) / 1000;
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with status ${status}:\n${stderr}`);
  return seconds;
}
