import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Struck, Victim } from './strace.js';

const PAGE_BYTES = 4096;
/** Sizes that are tried between a disk that has no room left and one that has room for everything. */
const SIZES = 24;
/** What a page for each folder and for what is written twice may come to. */
const MARGIN_BYTES = 32 * PAGE_BYTES;

/** Sizes of a file system, in bytes, that fill up somewhere between the two amounts; the last does not. */
export function sizesBetween(usedBefore: number, usedAfter: number): number[] {
  const most = Math.max(usedAfter - usedBefore, 0) * 2 + MARGIN_BYTES;
  const pages = Math.ceil(most / PAGE_BYTES / SIZES);
  return Array.from({ length: SIZES }, (_, i) => usedBefore + i * pages * PAGE_BYTES);
}

/** Bytes that the files under a folder take on a file system with pages of this size. */
export function usedBytes(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    bytes += Math.ceil(statSync(path.join(entry.parentPath, entry.name)).size / PAGE_BYTES) * PAGE_BYTES;
  }
  return bytes;
}

/** Runs the victim in a file system of its own that has this size and holds a copy of `base`; then gives it room. */
export async function runOnFullDisk(victim: Victim, base: string, sizeBytes: number): Promise<Struck> {
  const { folder } = victim;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', folder]);
  cpSync(base, folder, { recursive: true, preserveTimestamps: true });
  const struck = await runPlainly(victim);
  execFileSync('mount', ['-o', 'remount,size=1g', folder]);
  return struck;
}

/** Takes the file system away again. */
export function unmount(folder: string): void {
  execFileSync('umount', [folder]);
}

function runPlainly({ entry, argv, folder, log }: Victim): Promise<Struck> {
  const child = spawn(process.execPath, [entry, ...argv], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: '1', HOME: path.dirname(log), NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr, fired: code !== 0 }));
  });
}
