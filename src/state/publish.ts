import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { makeFolder, renameDurably } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { manifestDigest as digestOf } from '../manifest/index.js';
import { historyOf } from './history.js';
import type { Journal } from './journal.js';
import type { StateFolder } from './state-folder.js';

/** Writes a result with its manifest, a folder or a file, under a name beside the output, with everything on disk when it returns. */
export type Publication = (place: string) => Promise<void>;

/**
 * Makes the output appear whole, or not at all: everything is written and synced beside it, the journal says that a
 * publication is under way, and two renames swap it in. A crash at any point is settled by `settlePublication`.
 */
export async function publish(folder: StateFolder, journal: Journal, publication: Publication): Promise<void> {
  await rm(folder.publishing, { recursive: true, force: true });
  await makeFolder(folder.publishing);
  try {
    await publication(folder.staged);
  } catch (error) {
    // As large as the result, and of no use to whoever goes on.
    await rm(folder.publishing, { recursive: true, force: true });
    throw error;
  }
  // Hours may lie between the look at the output when the run began and now.
  await refuseForeignOutput(folder, journal);
  await journal.append({ type: 'publish' });
  await swapIn(folder);
  await recordPublished(folder, journal);
}

/**
 * Finishes or drops a publication that a crash interrupted, and removes what it left beside the output. Call it with the
 * lock held, before anything else looks at the output.
 */
export async function settlePublication(folder: StateFolder, journal: Journal): Promise<void> {
  if (historyOf(journal.records).publishing) {
    // The journal's record comes after the new folder is complete, so whatever lies there may be renamed.
    const renameIsMissing = existsSync(folder.staged);
    if (renameIsMissing) {
      await refuseForeignOutput(folder, journal);
      await swapIn(folder);
    }
    await recordPublished(folder, journal);
  }
  await rm(folder.publishing, { recursive: true, force: true });
  if (existsSync(folder.out)) await rm(folder.replaced, { recursive: true, force: true });
}

async function swapIn(folder: StateFolder): Promise<void> {
  if (existsSync(folder.out)) await renameDurably(folder.out, folder.replaced);
  await renameDurably(folder.staged, folder.out);
}

/**
 * Throws `usage` when the output holds anything but what this run may replace: what it published itself, or the earlier
 * result that it began over. Two runs with one output and different state folders, or a user's own files, end here.
 */
async function refuseForeignOutput(folder: StateFolder, journal: Journal): Promise<void> {
  if (!existsSync(folder.out)) return;
  const { manifest, begin } = historyOf(journal.records);
  const there = await manifestDigest(folder.out);
  if (there !== undefined && (there === manifest || there === begin?.replaces)) return;
  throw new BirdboneError('usage', `${folder.out} has appeared or changed since the run began; it is not replaced.`, {
    file: folder.out,
    suggestions: ['Move it away, then go on: --resume'],
  });
}

/** sha256 of the manifest of a result, in its folder or inside its file; undefined when there is none, or it cannot be read. */
export async function manifestDigest(place: string): Promise<string | undefined> {
  try {
    return await digestOf(place);
  } catch (error) {
    // A file without a readable manifest is no result of ours: whoever asks takes it for somebody else's.
    if (error instanceof BirdboneError && error.code === 'unreadable') return undefined;
    throw error;
  }
}

async function recordPublished(folder: StateFolder, journal: Journal): Promise<void> {
  const manifest = await manifestDigest(folder.out);
  await journal.append({ type: 'published', manifest });
  await rm(folder.replaced, { recursive: true, force: true });
  await rm(folder.publishing, { recursive: true, force: true });
}
