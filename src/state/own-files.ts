import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { BirdboneError } from '../errors.js';
import { ObjectStore } from '../store/index.js';
import { PROGRESS_FILE } from './progress.js';
import type { StateFolder } from './state-folder.js';

/** What birdbone calls the files of hidden states that did not fit into memory. */
const SPILLED = /^hidden-states.*\.bin$/;

/**
 * Throws `usage` when a folder that restarting or `gc` would empty holds a file that no run has put there: `--state` may name
 * any folder, and one with `objects` of its own is somebody's work.
 */
export async function refuseForeignFiles(folder: StateFolder): Promise<void> {
  for await (const { kind, path: file } of new ObjectStore(folder.objects).entries()) {
    if (kind === 'foreign') throw foreign(file);
  }
  await refuseOthers(folder.spill, SPILLED);
  await refuseOthers(folder.progress, PROGRESS_FILE);
}

async function refuseOthers(directory: string, own: RegExp): Promise<void> {
  const names = existsSync(directory) ? await readdir(directory) : [];
  const other = names.find((name) => !own.test(name));
  if (other !== undefined) throw foreign(path.join(directory, other));
}

function foreign(file: string): BirdboneError {
  return new BirdboneError('usage', `${file} is not a run's; its folder would be emptied.`, {
    file,
    suggestions: ['Name a folder with --state that is empty, or does not exist yet.'],
  });
}
