import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const reporter = pathToFileURL(path.join(here, 'report-peak.mjs'));

export interface MeasuredProcess {
  readonly seconds: number;
  /** Peak resident memory of the process, VmHWM. */
  readonly peakBytes: number;
  /** CPU time of all its threads: what its work takes, also on a machine that does other work beside. */
  readonly cpuSeconds: number;
  readonly stdout: string;
}

/** Runs a Node program to its end and says how long it took and how much memory it held at most. Linux only. */
export async function measureNode(args: readonly string[], cwd: string): Promise<MeasuredProcess> {
  const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-peak-'));
  const peakFile = path.join(folder, 'peak');
  try {
    const start = performance.now();
    const child = spawn(process.execPath, args, {
      cwd,
      env: { ...process.env, NODE_OPTIONS: `--import ${reporter}`, PEAK_FILE: peakFile },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    const status = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject).on('close', resolve);
    });
    const seconds = (performance.now() - start) / 1000;
    if (status !== 0) throw new Error(`${args.join(' ')} ended with status ${status}.`);
    const [peakBytes = Number.NaN, cpuSeconds = Number.NaN] = (await readFile(peakFile, 'utf8')).split(' ').map(Number);
    return { seconds, peakBytes, cpuSeconds, stdout };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
