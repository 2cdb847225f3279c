import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { changesSomething, entriesOf, pathsOf, WRITING_CALLS, type WritingCall } from './system-calls.js';

const FIXED_NAMES = fileURLToPath(new URL('fixed-names.mjs', import.meta.url));

/** A command line of birdbone, and the folder it runs in. */
export interface Victim {
  readonly entry: string;
  readonly argv: readonly string[];
  readonly folder: string;
  /** Where strace writes; each lane has its own. */
  readonly log: string;
}

/** A call of a victim that changes something: the `ordinal`-th (from 1) of its kind that has to do with `path`. */
export interface Point {
  readonly call: WritingCall;
  readonly path: string;
  readonly ordinal: number;
  /** The call's arguments, as strace shows them. */
  readonly text: string;
}

/** What happens at a point: death, an error of the system, or a write that moves nothing. */
export type Blow = 'SIGKILL' | `error=${string}` | 'retval=0';

export interface Struck {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The log's last lines say that the blow fell. */
  readonly fired: boolean;
}

/**
 * strace counts calls per thread. With more than one thread for files in Node's pool, the k-th call of the process would be
 * the first or second of some thread, and `when=k` would never come true. Each run looks in the log whether the blow has fallen.
 */
const ONE_THREAD = { UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0' };

/**
 * Every point of the victim in order, found by running it once. Of the paths that a call has to do with, a point has the one
 * that the fewest calls before it had: with names that are the same in every run, mostly it is the first.
 */
export async function recordPoints(victim: Victim): Promise<{ points: Point[]; run: Struck }> {
  const run = await strace(victim, ['-y', '-s', '4096', '-e', `trace=${WRITING_CALLS}`]);
  const counts = new Map<string, number>();
  const points: Point[] = [];
  for (const entry of entriesOf(readFileSync(victim.log, 'utf8'))) {
    const call = entry.call as WritingCall;
    const text = entry.rest;
    const places = [...new Set(pathsOf(entry))].filter((named) => isWithin(victim.folder, named));
    const found = places.map((named): Point => {
      // strace counts for each thread; in Node's pool there is one, and the main thread is another.
      const counter = `${entry.thread} ${call} ${named}`;
      counts.set(counter, (counts.get(counter) ?? 0) + 1);
      return { call, path: named, ordinal: counts.get(counter)!, text };
    });
    const [rarest] = found.sort((left, right) => left.ordinal - right.ordinal);
    if (rarest !== undefined && changesSomething(entry)) points.push(rarest);
  }
  return { points, run };
}

/**
 * Runs the victim and strikes at one point of it. strace 6.1 injects no signal when it stops at chosen calls alone, and to stop
 * at every call takes twice the time. So a victim that is to be killed is held before the call, and killed there.
 */
export async function strike(victim: Victim, point: Point, blow: Blow): Promise<Struck> {
  const { call, path: watched, ordinal } = point;
  const effect = blow === 'SIGKILL' ? `delay_enter=${HELD_SECONDS}s` : blow;
  const options = ['-e', `trace=${call}`, '-e', `inject=${call}:${effect}:when=${ordinal}`, '-P', watched];
  const { child, ended } = startStrace(victim, options);
  if (blow !== 'SIGKILL') return ended;
  const killing = killWhenHeld(child, victim, point);
  const struck = await ended;
  const wasKilled = await killing.stop();
  return wasKilled ? { ...struck, code: null, fired: true } : struck;
}

/** Long enough for the kill to come on the busiest machine; it ends the wait. */
const HELD_SECONDS = 120;
const LOOK_MILLISECONDS = 5;

/** Kills the process whose thread strace holds at the point, then strace; `stop` says whether that was done. */
function killWhenHeld(tracer: ChildProcess, { log }: Victim, { call, ordinal }: Point): { stop(): Promise<boolean> } {
  let isOver = false;
  const looking = (async () => {
    for (let heldBefore: string | undefined; !isOver; await setTimeout(LOOK_MILLISECONDS)) {
      const held = heldThread(log, call, ordinal);
      // The call before it may be on its way for a moment: the same sight twice is a thread that stands.
      if (held !== undefined && held === heldBefore) {
        const victim = processOf(held);
        process.kill(victim, 'SIGKILL');
        while (isAlive(victim)) await setTimeout(LOOK_MILLISECONDS);
        // It would wait until the time is over for which it holds the call.
        tracer.kill('SIGKILL');
        return true;
      }
      heldBefore = held;
    }
    return false;
  })();
  return {
    stop() {
      isOver = true;
      return looking;
    },
  };
}

/** The thread that has entered the call so many times, and not come back from the last. */
function heldThread(log: string, call: WritingCall, ordinal: number): string | undefined {
  if (!existsSync(log)) return undefined;
  const text = readFileSync(log, 'utf8');
  const entries = entriesOf(text).filter((entry) => entry.call === call);
  for (const { thread, rest } of new Map(entries.map((entry) => [entry.thread, entry])).values()) {
    const times = entries.filter((entry) => entry.thread === thread).length;
    const isLastLine = !text.endsWith('\n') && text.endsWith(rest);
    const isPending =
      isLastLine || (rest.endsWith('<unfinished ...>') && !text.includes(`${thread} <... ${call} resumed>`));
    if (times === ordinal && isPending) return thread;
  }
  return undefined;
}

function processOf(thread: string): number {
  return Number(/^Tgid:\s+(\d+)$/m.exec(readFileSync(`/proc/${thread}/status`, 'utf8'))![1]);
}

/** A zombie is dead: whoever takes it off the list may be slow. */
function isAlive(pid: number): boolean {
  const status = `/proc/${pid}/status`;
  return existsSync(status) && !/^State:\s+[ZX]/m.test(readFileSync(status, 'utf8'));
}

function isWithin(folder: string, named: string): boolean {
  const resolved = path.resolve(folder, named);
  return (resolved === folder || resolved.startsWith(folder + path.sep)) && !/[\n\0]/.test(named);
}

function strace(victim: Victim, options: readonly string[]): Promise<Struck> {
  return startStrace(victim, options).ended;
}

function startStrace(
  { entry, argv, folder, log }: Victim,
  options: readonly string[],
): { child: ChildProcess; ended: Promise<Struck> } {
  rmSync(log, { force: true });
  const node = [process.execPath, '--import', FIXED_NAMES, entry, ...argv];
  const child = spawn('strace', ['-f', '--seccomp-bpf', '-o', log, ...options, ...node], {
    cwd: folder,
    // A home of its own: libraries keep caches there, and those of one run must not change the next.
    env: { ...process.env, ...ONE_THREAD, NO_COLOR: '1', HOME: path.dirname(log), NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<Struck>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const logged = readFileSync(log, 'utf8');
      const fired = logged.includes('(INJECTED)');
      resolve({ code, signal, stdout, stderr, fired });
    });
  });
  return { child, ended };
}
