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
    cpu: os.cpus()[0]?.model ?? 'unknown',
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

function systemName(): string {
  try {
    const release = readFileSync('/etc/os-release', 'utf8');
    return /^PRETTY_NAME="(.*)"$/m.exec(release)?.[1] ?? os.type();
  } catch {
    // Not Linux.
    return `${os.type()} ${os.release()}`;
  }
}
