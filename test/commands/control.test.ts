import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { birdbone, builtCommands } from '../fixtures/command-line.js';
import { contentsOf, makeWorkplace } from '../fixtures/workplace.js';

const entry = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../bin/run.js');

// What is tested is the build, so it must be of these sources.
builtCommands();

let cwd: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  cwd = makeWorkplace();
  const recipe = JSON.parse(readFileSync(path.join(cwd, 'configs/half.json'), 'utf8')) as object;
  // Many small waves, so that there is time to interfere.
  const step = { do: 'prune', sparsity: 0.4, schedule: 'adaptive', adaptive: { firstStep: 0.02, growth: 1 } };
  writeFileSync(path.join(cwd, 'configs/slow.json'), JSON.stringify({ ...recipe, steps: [step] }));
});
afterEach(() => {
  // A run that a failed test has left paused would wait for ever.
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(cwd, { recursive: true, force: true });
});

const args = (out: string, ...more: readonly string[]) => [
  ...['run', 'configs/slow.json', '--out', out, '--device', 'cpu', '--quiet', ...more],
];

function started(out: string): ChildProcess {
  const child = spawn(process.execPath, [entry, ...args(out, '--events', 'events.jsonl')], { cwd, stdio: 'ignore' });
  children.push(child);
  return child;
}

/** Returns when the run has told of so many waves, pauses or the like. */
async function eventOnce(what: string, times = 1): Promise<void> {
  const file = path.join(cwd, 'events.jsonl');
  for (;;) {
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
    const events = lines.map((line) => JSON.parse(line) as { type: string; action?: string });
    if (events.filter(({ type, action }) => (action ?? type) === what).length >= times) return;
    await setTimeout(20);
  }
}

describe.skipIf(process.platform === 'win32')('birdbone control (needs signals)', () => {
  it('pauses a run, which is killed then, resumed and finished: the same bytes as without', async () => {
    const whole = await birdbone(args('plain/half'), { cwd });
    expect(whole.code, whole.stderr).toBe(0);

    const child = started('out/half');
    await eventOnce('wave');
    child.kill('SIGUSR2');
    await eventOnce('pause');
    const status = await birdbone(['control', 'out/half', '--json'], { cwd });
    const { run } = JSON.parse(status.stdout) as { run: { wave: number } };
    expect(run).toMatchObject({ state: 'paused', process: child.pid });
    const asked = await birdbone(['control', 'out/half', 'resume', '--json'], { cwd });
    expect(JSON.parse(asked.stdout)).toMatchObject({ action: 'resume', request: 'taken' });
    await eventOnce('resume');
    child.kill('SIGUSR2');
    await eventOnce('pause', 2);
    child.kill('SIGKILL');
    await once(child, 'exit');

    const resumed = await birdbone(args('out/half', '--resume'), { cwd });
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(contentsOf(path.join(cwd, 'out/half'))).toEqual(contentsOf(path.join(cwd, 'plain/half')));
    const { stdout } = await birdbone(['log', 'out/half'], { cwd });
    expect(stdout).toContain(`paused at wave ${run.wave} by a signal`);
    expect(stdout).toContain(`went on with wave ${run.wave} on request`);
  });

  it('stops a run with what was kept, and says so', async () => {
    const child = started('out/short');
    const exit = once(child, 'exit');
    await eventOnce('wave');
    child.kill('SIGUSR2');
    await eventOnce('pause');
    const asked = await birdbone(['control', 'out/short', 'stop'], { cwd });
    expect(asked.stdout).toMatch(/request +stop: taken by the run/);
    expect((await exit)[0]).toBe(0);
    expect((await birdbone(['log', 'out/short'], { cwd })).stdout).toMatch(/published: stopped by hand/);
  });
});
