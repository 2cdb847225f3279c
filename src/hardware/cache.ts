import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import path from 'node:path';
import { canonicalJson, makeFolder, readJsonFile, writeFileDurably } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { MachineFigures } from './this-machine.js';

/** A few hundred bytes an entry; more than this is no file of ours. */
const MAX_BYTES = 2 ** 20;
/** Entries kept of each kind; the oldest go. */
const MAX_ENTRIES = 200;

/** What earlier calls found out: figures of machines, and the strategies that were chosen. */
export interface HardwareMemory {
  readonly machines: Readonly<Record<string, MachineFigures>>;
  /** Names of strategies by the digest of model, hardware and limits. */
  readonly choices: Readonly<Record<string, string>>;
}

/** In the user's cache folder (XDG): nothing depends on it, and it may be deleted. */
export function hardwareCacheFile(): string {
  const { XDG_CACHE_HOME: cache } = process.env;
  return path.join(
    cache !== undefined && path.isAbsolute(cache) ? cache : path.join(homedir(), '.cache'),
    'birdbone',
    'hardware.json',
  );
}

/** What is remembered; nothing where there is no file, or one that is not what this version writes. */
export async function readHardwareCache(file: string): Promise<HardwareMemory> {
  const value = (await readJsonFile(file, { maxBytes: MAX_BYTES }).catch(nothingOfABadFile))?.value;
  if (typeof value !== 'object' || value === null) return { machines: {}, choices: {} };
  const { machines, choices } = value as Record<string, unknown>;
  return { machines: only(machines, isFigures), choices: only(choices, (name) => typeof name === 'string') };
}

function nothingOfABadFile(error: unknown): undefined {
  if (error instanceof BirdboneError) return undefined;
  throw error;
}

/** Remembers more. A folder that cannot be written is no reason to fail: the next call measures again. */
export async function writeHardwareCache(file: string, memory: HardwareMemory): Promise<void> {
  const text = JSON.stringify({ machines: newest(memory.machines), choices: newest(memory.choices) }, null, 2);
  try {
    await makeFolder(path.dirname(file));
    await writeFileDurably(file, `${text}\n`);
  } catch (error) {
    process.emitWarning(`What was measured is not remembered: ${(error as Error).message}`);
  }
}

/** The key of a choice: equal for equal models, hardware and limits. */
export function choiceKey(what: object): string {
  return createHash('sha256').update(canonicalJson(what)).digest('hex');
}

function only<T>(entries: unknown, test: (value: unknown) => boolean): Record<string, T> {
  if (typeof entries !== 'object' || entries === null) return {};
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => test(value))) as Record<string, T>;
}

function isFigures(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { processor, cores, memoryBytes, bandwidth, product } = value as Record<string, unknown>;
  const isAmount = (amount: unknown) => typeof amount === 'number' && Number.isFinite(amount) && amount > 0;
  return typeof processor === 'string' && [cores, memoryBytes, bandwidth, product].every(isAmount);
}

function newest<T>(entries: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(entries).slice(-MAX_ENTRIES));
}
