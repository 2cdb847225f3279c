import { spawnSync } from 'node:child_process';
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
  await ours();
  await theirs();
  const [oursSeconds, theirsSeconds]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    const turns = [async () => oursSeconds.push(await ours()), async () => theirsSeconds.push(await theirs())];
    for (const turn of round % 2 === 0 ? turns : turns.reverse()) await turn();
  }
  const ratios = oursSeconds.map((seconds, round) => theirsSeconds[round]! / seconds);
  return { ours: median(oursSeconds), theirs: median(theirsSeconds), ratio: median(ratios) };
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
