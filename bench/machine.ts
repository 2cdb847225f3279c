import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';

/** What a figure depends on besides the code. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
}

export function machine(): Machine {
  return {
    cpu: processorName(),
    cores: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    system: systemName(),
    node: process.versions.node,
  };
}

/**
 * The commit that is measured, short; `-dirty` when tracked files under src, bin or bench differ from it. Of a packed bench, on a machine
 * without the repository, the one that it was packed from.
 */
export function commit(): string {
  const { BENCH_COMMIT: packed } = process.env;
  if (packed !== undefined) return packed;
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim();
  const changes = git(
    'status',
    '--porcelain',
    '--untracked-files=no',
    '--',
    'src',
    'bin',
    'bench/*.ts',
    'bench/parts',
    'bench/gpu',
  );
  return `${git('rev-parse', '--short=7', 'HEAD')}${changes === '' ? '' : '-dirty'}`;
}

/** Bytes in powers of ten, as disks and throughputs are given. */
export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6).toLocaleString('en-US')} MB`;
}

/** Flags of /proc/cpuinfo on x86, the widest first. */
const WIDEST = { avx512f: 'AVX-512', avx2: 'AVX2' };

/** Its name, which on a virtual machine may say little, and on Linux the generation and the widest instructions that it says it has. */
function processorName(): string {
  const name = os.cpus()[0]?.model ?? 'unknown';
  let lines: string;
  try {
    lines = readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    // Not Linux.
    return name;
  }
  const said = (key: string) => new RegExp(`^${key}\\s*: (.*)$`, 'm').exec(lines)?.[1];
  const [family, model, flags = ''] = [said('cpu family'), said('model'), said('flags')];
  const widest = Object.entries(WIDEST).find(([flag]) => flags.split(' ').includes(flag))?.[1];
  const generation = family === undefined ? [] : [`family ${family} model ${model}`];
  return [name, ...generation, ...(widest === undefined ? [] : [widest])].join(', ');
}

function systemName(): string {
  try {
    const release = readFileSync('/etc/os-release', 'utf8');
    return /^PRETTY_NAME="(.*)"$/m.exec(release)?.[1] ?? os.type();
  } catch {
    // Not Linux.
    return `${os.type()} ${os.release()}`;
  }
}
