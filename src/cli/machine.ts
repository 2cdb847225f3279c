import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import process from 'node:process';
import { promisify } from 'node:util';
import { type FolderSpace, folderSpaces } from './file-systems.js';

/** The oldest Node.js that is tested (package.json, `engines`). */
const OLDEST_NODE = [20, 19] as const;
/** Instruction sets that matrix products (and hashing: the last two) profit from, as Linux names them. */
const FEATURES_OF_INTEREST = [
  ...['avx2', 'fma', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_bf16', 'asimd', 'sve'],
  ...['sha_ni', 'sha2'],
];

/** The same as macOS names them: on Intel as words of a list, on Apple's own processors as settings that are 1. */
const MACOS_NAMES: Readonly<Record<string, string>> = {
  avx2: 'AVX2',
  fma: 'FMA',
  avx512f: 'AVX512F',
  sha_ni: 'SHA',
  asimd: 'hw.optional.AdvSIMD: 1',
  sha2: 'hw.optional.arm.FEAT_SHA256: 1',
};
const MACOS_SETTINGS = ['machdep.cpu.features', 'machdep.cpu.leaf7_features', 'hw.optional'];

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
  /** All folders that birdbone writes to from the working directory, itself first. */
  readonly folders: readonly FolderSpace[];
}

/** What this machine has, as far as birdbone cares. */
export async function describeMachine(folder = process.cwd()): Promise<MachineReport> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const folders = await folderSpaces(folder);
  const { totalBytes = 0, freeBytes = 0 } = folders[0] ?? {};
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
    disk: { path: folder, totalBytes, freeBytes },
    folders,
  };
}

async function cpuFeatures(): Promise<string[]> {
  if (process.platform === 'linux') return linuxFeatures(await readFile('/proc/cpuinfo', 'utf8'));
  if (process.platform === 'darwin') return macosFeatures(await sysctl());
  return [];
}

/** Those of interest in the text of /proc/cpuinfo. */
export function linuxFeatures(cpuinfo: string): string[] {
  const flags = new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1]?.split(' '));
  return FEATURES_OF_INTEREST.filter((feature) => flags.has(feature));
}

/** Those of interest in what `sysctl` prints on macOS. */
export function macosFeatures(settings: string): string[] {
  const words = new Set(settings.split(/\n|(?<!:) /));
  return FEATURES_OF_INTEREST.filter((feature) => words.has(MACOS_NAMES[feature] ?? feature));
}

/** A setting that this processor has not makes sysctl fail, with what it found on its output. */
async function sysctl(): Promise<string> {
  try {
    return (await promisify(execFile)('sysctl', MACOS_SETTINGS)).stdout;
  } catch (error) {
    return (error as { readonly stdout?: string }).stdout ?? '';
  }
}
