import { spawnSync } from 'node:child_process';
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
 * Seconds of each way in each round, one unmeasured round first; every other round goes through the ways backwards. Before each turn
 * `rest` milliseconds pass, for ways whose threads go on waiting in busy loops when they are done.
 */
export async function takeTurns(
  rounds: number,
  ways: readonly (() => Promise<number>)[],
  rest = 0,
): Promise<number[][]> {
  for (const way of ways) await way();
  const seconds = ways.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1) {
    const turns = ways.map((way, i) => async () => {
      await sleep(rest);
      seconds[i]!.push(await way());
    });
    for (const turn of round % 2 === 0 ? turns : turns.reverse()) await turn();
  }
  return seconds;
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
