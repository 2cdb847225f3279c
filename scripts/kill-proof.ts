import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';

/** A command that is killed with SIGKILL at one moment, and what `--resume` then made of it. */
export interface KillTrial {
  /** Milliseconds after the start. */
  readonly killedAfter: number;
  /** The run was over before the kill came. */
  readonly tooLate: boolean;
  /** Exit code of `--resume`. */
  readonly resumeCode: number | null;
  /** Whether every file of the output, the manifest among them, equals the uninterrupted run's. */
  readonly sameBytes: boolean;
}

export interface KillProof {
  /** `prune` unless given. */
  readonly command?: string;
  /** What follows the command, without --out. */
  readonly args: readonly string[];
  /** What the output is called: a name that ends in .gguf is a file's; `result` unless given. */
  readonly result?: string;
  /** Path of bin/run.js. */
  readonly entry: string;
  /** An empty folder to work in. */
  readonly folder: string;
  readonly kills: number;
  /** Fractions of the uninterrupted run's duration, in [0, 1), one a call. */
  readonly random: () => number;
  readonly onTrial?: (trial: KillTrial, index: number) => void;
}

/** Runs a command once to its end, then kills it `kills` times at random moments, resuming each time, and compares the outputs. */
export async function proveKills(proof: KillProof): Promise<KillTrial[]> {
  const { command = 'prune', args, result = 'result', entry, folder, kills, random } = proof;
  const out = (name: string) => path.join(folder, name, result);
  const work = (name: string, more: readonly string[], killAfter?: number) => {
    const places = ['--out', out(name), '--diffs', path.join(folder, name, 'diffs')];
    return runAndKill([entry, command, ...args, ...places, '--quiet', ...more], killAfter);
  };
  const whole = await work('whole', []);
  if (whole.code !== 0) throw new Error(`the uninterrupted run ended with ${whole.code}: ${whole.stderr}`);
  const expected = digestOf(out('whole'));
  const trials: KillTrial[] = [];
  for (let index = 0; index < kills; index++) {
    const name = `killed-${index}`;
    const killedAfter = Math.floor(random() * whole.milliseconds);
    const killed = await work(name, [], killedAfter);
    const resumed = await work(name, ['--resume']);
    const sameBytes = resumed.code === 0 && digestOf(out(name)) === expected;
    const trial = { killedAfter, tooLate: killed.code !== null, resumeCode: resumed.code, sameBytes };
    trials.push(trial);
    proof.onTrial?.(trial, index);
    rmSync(path.join(folder, name), { recursive: true, force: true });
  }
  return trials;
}

interface Ending {
  readonly code: number | null;
  readonly milliseconds: number;
  readonly stderr: string;
}

function runAndKill(args: readonly string[], killAfter?: number): Promise<Ending> {
  const start = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, milliseconds: performance.now() - start, stderr });
    });
  });
}

/** One digest over the names and bytes of everything in a folder, or over one file. */
function digestOf(place: string): string {
  const hash = createHash('sha256');
  const names = statSync(place).isDirectory() ? readdirSync(place).sort() : [''];
  for (const name of names) hash.update(`${name}\0`).update(readFileSync(path.join(place, name)));
  return hash.digest('hex');
}
