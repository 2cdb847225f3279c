import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
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

/** The `ordinal`-th (from 1) call of this kind on the watched paths, in the thread that gets there first. */
export interface Point {
  readonly call: WritingCall;
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
 * the first or second of some thread, and `when=k` would never come true. Neither would it with --seccomp-bpf (strace 6.1: the
 * count stops at 1), which is why every system call is stopped at. Each run therefore looks whether the blow has fallen.
 */
const ONE_THREAD = { UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0' };

/** Every path under the folder that the victim's changing calls name, found by running it once. */
export async function recordPaths(victim: Victim): Promise<{ paths: string[]; run: Struck }> {
  const run = await strace(victim, ['-y', '-s', '4096', '-e', `trace=${WRITING_CALLS}`]);
  const paths = new Set<string>();
  for (const entry of entriesOf(readFileSync(victim.log, 'utf8'))) {
    if (!changesSomething(entry)) continue;
    for (const named of pathsOf(entry)) if (isWithin(victim.folder, named)) paths.add(named);
  }
  return { paths: [...paths], run };
}

/** Every point of the victim, found by running it once and letting strace itself say which calls are on the paths. */
export async function recordPoints(
  victim: Victim,
  paths: readonly string[],
): Promise<{ points: Point[]; run: Struck }> {
  const run = await strace(victim, ['-e', `trace=${WRITING_CALLS}`, ...watch(paths)]);
  const points = new Map<string, Point>();
  const counts = new Map<string, number>();
  for (const entry of entriesOf(readFileSync(victim.log, 'utf8'))) {
    const counter = `${entry.thread} ${entry.call}`;
    const ordinal = (counts.get(counter) ?? 0) + 1;
    counts.set(counter, ordinal);
    const point = { call: entry.call as WritingCall, ordinal, text: entry.rest };
    if (changesSomething(entry)) points.set(`${point.call} ${point.ordinal}`, point);
  }
  return { points: [...points.values()], run };
}

/** Runs the victim and strikes at one point of it. */
export async function strike(victim: Victim, paths: readonly string[], point: Point, blow: Blow): Promise<Struck> {
  const effect = blow === 'SIGKILL' ? 'signal=SIGKILL' : blow;
  const when = `${point.ordinal}`;
  const inject = `inject=${point.call}:${effect}:when=${when}`;
  return strace(victim, ['-e', `trace=${point.call}`, '-e', inject, ...watch(paths)]);
}

const watch = (paths: readonly string[]): string[] => paths.flatMap((watched) => ['-P', watched]);

function isWithin(folder: string, named: string): boolean {
  const resolved = path.resolve(folder, named);
  return resolved.startsWith(folder + path.sep) && !/[\n\0]/.test(named);
}

function strace({ entry, argv, folder, log }: Victim, options: readonly string[]): Promise<Struck> {
  rmSync(log, { force: true });
  const node = [process.execPath, '--import', FIXED_NAMES, entry, ...argv];
  const child = spawn('strace', ['-f', '-o', log, ...options, ...node], {
    cwd: folder,
    // A home of its own: libraries keep caches there, and those of one run must not change the next.
    env: { ...process.env, ...ONE_THREAD, NO_COLOR: '1', HOME: path.dirname(log), NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const logged = readFileSync(log, 'utf8');
      const fired = /killed by SIGKILL|\(INJECTED\)/.test(logged);
      resolve({ code, signal, stdout, stderr, fired });
    });
  });
}
