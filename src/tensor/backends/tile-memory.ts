import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import type { TileChoices } from '../wgsl/tile-tuner.js';

/** Some hundred classes of shapes on a few adapters; anything larger is not what we wrote. */
const MAX_BYTES = 2 ** 20;

type Memory = Readonly<Record<string, TileChoices>>;

/** Where measured tiles are kept: the user's cache folder. Losing the file costs measuring them again. */
export function tileFile(env: NodeJS.ProcessEnv = process.env): string {
  const cache = env['XDG_CACHE_HOME'] || path.join(os.homedir(), '.cache');
  return path.join(cache, 'birdbone', 'tiles.json');
}

/** The choices that were kept for an adapter; none where there is no file, or one that is not ours. */
export async function loadTiles(adapter: string, file = tileFile()): Promise<TileChoices> {
  return (await readMemory(file))[adapter] ?? {};
}

/** Keeps an adapter's choices beside those of others. A folder that cannot be written to is left as it is. */
export async function saveTiles(adapter: string, choices: TileChoices, file = tileFile()): Promise<void> {
  const memory = { ...(await readMemory(file)), [adapter]: choices };
  const beside = `${file}.${process.pid}`;
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(beside, `${JSON.stringify(memory, undefined, 2)}\n`);
    await rename(beside, file);
  } catch {
    // A read-only home: the tiles are measured again next time, which is all that is lost.
  }
}

async function readMemory(file: string): Promise<Memory> {
  try {
    if ((await stat(file)).size > MAX_BYTES) return {};
    const memory: unknown = JSON.parse(await readFile(file, 'utf8'));
    return isRecord(memory) && Object.values(memory).every(isChoices) ? (memory as Memory) : {};
  } catch {
    // No file yet, or half of one.
    return {};
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isChoices = (value: unknown) => isRecord(value) && Object.values(value).every((tile) => typeof tile === 'string');
