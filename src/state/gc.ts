import { existsSync } from 'node:fs';
import { readdir, rm, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { writing } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { ObjectStore } from '../store/index.js';
import { type History, historyOf } from './history.js';
import { Journal } from './journal.js';
import { referencedObjects } from './layers.js';
import { lock } from './lock.js';
import { refuseForeignFiles } from './own-files.js';
import { needsProgress } from './progress.js';
import { settlePublication } from './publish.js';
import { staleRequests } from './requests.js';
import { searchEntries } from './search-folder.js';
import type { StateFolder } from './state-folder.js';

export interface Garbage {
  readonly path: string;
  readonly bytes: number;
  readonly reason: string;
  /** Written within the grace period: not removed this time. */
  readonly young: boolean;
}

export interface CollectOptions {
  /** Only say what would be removed. */
  readonly dryRun: boolean;
  /**
   * What was written or renewed less than so many seconds ago stays, whether or not anything refers to it; 0 by default. The
   * lock keeps writers out whom it can see; this is for those whom it cannot.
   */
  readonly graceSeconds?: number;
}

/**
 * Removes what nothing refers to: objects of waves that neither the current or published state nor a tag has, or that were never recorded,
 * spilled hidden states, temporary files, what an interrupted publication left, and the candidates of a search whose run is published.
 * What a rollback needs is kept, and a search that has led to no run yet, so that it can go on. Throws `usage`
 * when files lie there that no run has made, `mismatch` when an object is missing that something refers to, or the journal is:
 * then what is there may be all that is left of it, and nothing is removed.
 */
export async function collectGarbage(folder: StateFolder, options: CollectOptions): Promise<Garbage[]> {
  if (!existsSync(folder.root)) return [];
  await refuseForeignFiles(folder);
  const release = options.dryRun ? undefined : await lock(folder.root);
  // A search that is under way writes into its own folder before it comes to the run's.
  const releaseSearch = options.dryRun || !existsSync(folder.search) ? undefined : await lockOf(folder.search, release);
  try {
    const journal = await Journal.open(folder.journal, { repair: !options.dryRun });
    if (!options.dryRun) await settlePublication(folder, journal);
    const garbage = await findGarbage(folder, historyOf(journal.records), options.graceSeconds ?? 0);
    if (!options.dryRun) {
      for (const item of garbage) {
        if (!item.young) await writing(item.path, () => rm(item.path, { recursive: true, force: true }));
      }
    }
    return garbage;
  } finally {
    if (releaseSearch !== undefined) {
      await releaseSearch();
      await removeIfEmpty(folder.search);
    }
    await release?.();
  }
}

/** The lock of another folder; where it is somebody else's, the one that is held is given back. */
async function lockOf(folder: string, held: (() => Promise<void>) | undefined): Promise<() => Promise<void>> {
  try {
    return await lock(folder);
  } catch (error) {
    await held?.();
    throw error;
  }
}

async function removeIfEmpty(folder: string): Promise<void> {
  if ((await namesIn(folder)).length === 0) await rmdir(folder);
}

/** Once what a search has found is published, its candidates only take room. */
async function findCandidates(folder: StateFolder, history: History, graceSeconds: number): Promise<Garbage[]> {
  if (history.evidence === undefined || history.publishing || history.stale) return [];
  const now = await timeIn(folder);
  return (await searchEntries(folder)).map(({ path: full, bytes, modified }) => {
    const young = graceSeconds > 0 && now - modified < graceSeconds * 1000;
    return { path: full, bytes, reason: 'of a search whose run is published', young };
  });
}

async function findGarbage(folder: StateFolder, history: History, graceSeconds: number): Promise<Garbage[]> {
  const garbage = await findObjects(folder, history, graceSeconds);
  garbage.push(...(await findCandidates(folder, history, graceSeconds)));
  const add = async (full: string, reason: string) => {
    if (existsSync(full)) garbage.push({ path: full, bytes: await sizeOf(full), reason, young: false });
  };
  await add(folder.spill, 'spilled hidden states of a run that ended');
  if (!needsProgress(history)) await add(folder.progress, 'progress of a wave that is over');
  for (const name of await namesIn(folder.root)) {
    if (/^(?:\..+\.tmp-[0-9a-f]+|lock\.[0-9a-f]+\.new)$/.test(name))
      await add(path.join(folder.root, name), 'temporary file of an interrupted write');
  }
  for (const name of await staleRequests(folder.root, undefined))
    await add(path.join(folder.root, name), 'request to a run that ended');
  if (!history.publishing) await add(folder.publishing, 'output that was not finished');
  return garbage;
}

async function findObjects(folder: StateFolder, history: History, graceSeconds: number): Promise<Garbage[]> {
  const store = new ObjectStore(folder.objects);
  const referenced = await referencedObjects(store, history);
  if (history.begin === undefined) await refuseUntold(store, folder);
  const now = await timeIn(folder);
  const garbage: Garbage[] = [];
  for await (const { kind, path: file, id, bytes, modified } of store.entries()) {
    if (kind === 'foreign' || (id !== undefined && referenced.has(id))) continue;
    // A time to come is of a clock that was set back: such a file is as young as any, until that time.
    const young = graceSeconds > 0 && now - modified < graceSeconds * 1000;
    const reason =
      kind === 'object' ? 'of no wave that the current state or a tag has' : 'temporary file of an interrupted write';
    garbage.push({ path: file, bytes, reason, young });
  }
  return garbage;
}

/** Without a journal every object would look like one that nothing needs, and be lost for whoever puts the journal back. */
async function refuseUntold(store: ObjectStore, folder: StateFolder): Promise<void> {
  for await (const { kind } of store.entries()) {
    if (kind !== 'object') continue;
    throw new BirdboneError(
      'mismatch',
      `${folder.journal} is missing or empty, so nothing says which objects are needed.`,
      {
        file: folder.journal,
        suggestions: ['Restore it from a copy.', `Begin anew: prune --restart. Or remove ${folder.root} yourself.`],
      },
    );
  }
}

/**
 * The time in milliseconds by the clock that also sets the times of files: a server's, when the folder is on one. This
 * process's own lock has just been written; without one, in a dry run, it is this machine's clock.
 */
async function timeIn(folder: StateFolder): Promise<number> {
  const locks = (await namesIn(folder.root)).filter((name) => /^lock\.[0-9a-f]+$/.test(name));
  const times = await Promise.all(locks.map(async (name) => (await stat(path.join(folder.root, name))).mtimeMs));
  return times.length === 0 ? Date.now() : Math.max(...times);
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
