import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { BirdboneError } from '../errors.js';
import type { WaveJournalRecord } from './history.js';
import type { StateFolder } from './state-folder.js';

/** What birdbone calls the files that it puts into the folders it later empties, temporary names included. */
const OWN_NAMES = {
  layers: /^(?:wave-\d{4,}\.safetensors|\.wave-\d{4,}\.safetensors\.tmp-[0-9a-f]+)$/,
  spill: /^hidden-states.*\.bin$/,
} as const;

/**
 * Throws `usage` when a folder that restarting or `gc` would empty holds a file that no run has put there: `--state` may name
 * any folder, and one with a `layers` of its own is somebody's work.
 */
export async function refuseForeignFiles(folder: StateFolder): Promise<void> {
  for (const kind of ['layers', 'spill'] as const) {
    const names = existsSync(folder[kind]) ? await readdir(folder[kind]) : [];
    const foreign = names.find((name) => !OWN_NAMES[kind].test(name));
    if (foreign === undefined) continue;
    throw new BirdboneError(
      'usage',
      `${path.join(folder[kind], foreign)} is not a run's; its folder would be emptied.`,
      {
        file: folder[kind],
        suggestions: ['Name a folder with --state that is empty, or does not exist yet.'],
      },
    );
  }
}

/** Throws `mismatch` when the layer of one of these waves is gone or is not, byte for byte, what the journal recorded. */
export async function verifyLayers(
  folder: StateFolder,
  waves: readonly Pick<WaveJournalRecord, 'wave' | 'layer'>[],
): Promise<void> {
  for (const { wave, layer } of waves) {
    const file = path.join(folder.layers, layer.name);
    if (existsSync(file) && (await sha256Of(file)) === layer.sha256) continue;
    throw new BirdboneError(
      'mismatch',
      `The layer of wave ${wave}, ${file}, is gone or is not what the journal says.`,
      {
        file,
        suggestions: ['Restore the file from a copy, or prune anew: --restart'],
      },
    );
  }
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
