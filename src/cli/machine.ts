import { readFile, statfs } from 'node:fs/promises';
import os from 'node:os';
import process from 'node:process';

/** The oldest Node.js that is tested (package.json, `engines`). */
const OLDEST_NODE = [20, 19] as const;
/** Instruction sets that matrix products profit from, as Linux names them. */
const FEATURES_OF_INTEREST = ['avx2', 'fma', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_bf16', 'asimd', 'sve'];

export interface MachineReport {
  readonly node: { readonly version: string; readonly supported: boolean };
  readonly platform: string;
  readonly cpu: {
    readonly model: string;
    /** Logical processors that this process may use. */
    readonly threads: number;
    /** Empty where the system does not tell. */
    readonly features: readonly string[];
  };
  readonly memory: { readonly totalBytes: number; readonly freeBytes: number };
  /** The file system of the working directory. */
  readonly disk: { readonly path: string; readonly totalBytes: number; readonly freeBytes: number };
}

/** What this machine has, as far as birdbone cares. */
export async function describeMachine(folder = process.cwd()): Promise<MachineReport> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const disk = await statfs(folder);
  return {
    node: {
      version: process.versions.node,
      supported: major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]),
    },
    platform: `${process.platform}-${process.arch}`,
    cpu: {
      model: os.cpus()[0]?.model ?? 'unknown',
      threads: os.availableParallelism(),
      features: await cpuFeatures(),
    },
    memory: { totalBytes: os.totalmem(), freeBytes: os.freemem() },
    disk: { path: folder, totalBytes: disk.blocks * disk.bsize, freeBytes: disk.bavail * disk.bsize },
  };
}

async function cpuFeatures(): Promise<string[]> {
  if (process.platform !== 'linux') return [];
  const text = await readFile('/proc/cpuinfo', 'utf8');
  const flags = new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1]?.split(' '));
  return FEATURES_OF_INTEREST.filter((feature) => flags.has(feature));
}
