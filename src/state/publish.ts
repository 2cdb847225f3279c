import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Checkpoint, makeFolder, renameDurably, writeCheckpoint } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { Report } from '../events.js';
import { MANIFEST_FILE } from '../manifest/index.js';
import { historyOf } from './history.js';
import type { Journal } from './journal.js';
import type { StateFolder } from './state-folder.js';

export interface Publication {
  readonly source: Checkpoint;
  /** Folder whose config, tokenizer and other files go with the weights. */
  readonly carryFrom: string;
  readonly manifest: string;
  readonly maxShardBytes: number;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/**
 * Makes the output folder appear whole, or not at all: everything is written and synced beside it, the journal says that a
 * publication is under way, and two renames swap it in. A crash at any point is settled by `settlePublication`.
 */
export async function publish(folder: StateFolder, journal: Journal, publication: Publication): Promise<void> {
  await rm(folder.publishing, { recursive: true, force: true });
  await makeFolder(folder.publishing);
  await writeCheckpoint(publication.source, folder.publishing, {
    carryFrom: publication.carryFrom,
    maxShardBytes: publication.maxShardBytes,
    extraFiles: { [MANIFEST_FILE]: publication.manifest },
    ...(publication.report && { report: publication.report }),
    ...(publication.signal && { signal: publication.signal }),
  });
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
    const renameIsMissing = existsSync(folder.publishing);
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
  await renameDurably(folder.publishing, folder.out);
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

/** sha256 of the manifest in a folder; undefined when there is none. */
export async function manifestDigest(folder: string): Promise<string | undefined> {
  const file = path.join(folder, MANIFEST_FILE);
  return existsSync(file)
    ? createHash('sha256')
        .update(await readFile(file))
        .digest('hex')
    : undefined;
}

async function recordPublished(folder: StateFolder, journal: Journal): Promise<void> {
  const manifest = await manifestDigest(folder.out);
  await journal.append({ type: 'published', manifest });
  await rm(folder.replaced, { recursive: true, force: true });
}
