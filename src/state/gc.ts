import { existsSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { ObjectStore } from '../store/index.js';
import { type History, historyOf } from './history.js';
import { Journal } from './journal.js';
import { referencedObjects } from './layers.js';
import { lock } from './lock.js';
import { refuseForeignFiles } from './own-files.js';
import { settlePublication } from './publish.js';
import type { StateFolder } from './state-folder.js';

export interface Garbage {
  readonly path: string;
  readonly bytes: number;
  readonly reason: string;
}

/**
 * Removes what nothing refers to: layers of waves that were rolled back or never recorded, spilled hidden states, temporary
 * files, what an interrupted publication left. Layers of waves that count are kept: a later rollback needs them.
 * With `dryRun` it only says what it would remove. Throws `usage` when files lie there that no run has made.
 */
export async function collectGarbage(folder: StateFolder, options: { readonly dryRun: boolean }): Promise<Garbage[]> {
  if (!existsSync(folder.root)) return [];
  await refuseForeignFiles(folder);
  const release = options.dryRun ? undefined : await lock(folder.root);
  try {
    const journal = await Journal.open(folder.journal, { repair: !options.dryRun });
    if (!options.dryRun) await settlePublication(folder, journal);
    const garbage = await findGarbage(folder, historyOf(journal.records));
    if (!options.dryRun) {
      for (const item of garbage) await rm(item.path, { recursive: true, force: true });
    }
    return garbage;
  } finally {
    await release?.();
  }
}

async function findGarbage(folder: StateFolder, history: History): Promise<Garbage[]> {
  const store = new ObjectStore(folder.objects);
  const referenced = await referencedObjects(store, history);
  const garbage: Garbage[] = [];
  const add = async (full: string, reason: string) => {
    if (existsSync(full)) garbage.push({ path: full, bytes: await sizeOf(full), reason });
  };
  for await (const { kind, path: file, id } of store.entries()) {
    if (kind === 'temporary') await add(file, 'temporary file of an interrupted write');
    if (id !== undefined && !referenced.has(id)) await add(file, 'of no wave that the current state or a tag has');
  }
  await add(folder.spill, 'spilled hidden states of a run that ended');
  for (const name of await namesIn(folder.root)) {
    if (/^(?:\..+\.tmp-[0-9a-f]+|lock\.[0-9a-f]+\.new)$/.test(name))
      await add(path.join(folder.root, name), 'temporary file of an interrupted write');
  }
  if (!history.publishing) await add(folder.publishing, 'output that was not finished');
  return garbage;
}

async function namesIn(directory: string): Promise<string[]> {
  return existsSync(directory) ? (await readdir(directory)).sort() : [];
}

async function sizeOf(full: string): Promise<number> {
  const entry = await stat(full);
  if (!entry.isDirectory()) return entry.size;
  let bytes = 0;
  for (const name of await readdir(full)) bytes += await sizeOf(path.join(full, name));
  return bytes;
}
