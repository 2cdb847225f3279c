import { lstat, mkdir, rm, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { BirdboneError } from '../../errors.js';
import { removeLeftovers, renameDurably, syncFolder, temporaryName, writing } from './durable.js';
import { unreadableBecause } from './failure.js';

/**
 * Makes a folder appear whole or not at all: `fill` writes into a new folder beside it, which is then renamed. `fill` must have its
 * files on disk when it returns, as `writeCheckpoint` does. When it throws, as it should when it is interrupted, nothing is left,
 * folders above that were made for it included.
 *
 * Throws `usage` when something is there already, before `fill` is called; `unwritable` when something has come since.
 */
export async function writeFolderWhole(folder: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  const target = path.resolve(folder);
  await refuseExisting(folder);
  const parent = path.dirname(target);
  const firstMade = await writing(folder, () => mkdir(parent, { recursive: true }));
  const temporary = temporaryName(target);
  try {
    await writing(folder, () => removeLeftovers(target));
    await writing(folder, () => mkdir(temporary));
    await fill(temporary);
    await refuseExisting(folder);
    await renameDurably(temporary, target);
    for (const made of madeFolders(parent, firstMade)) await syncFolder(path.dirname(made));
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    for (const made of madeFolders(parent, firstMade)) await removeEmpty(made);
    throw error;
  }
}

/** Throws `usage` when there is anything under this name: a folder that is written whole replaces nothing. */
export async function refuseExisting(folder: string): Promise<void> {
  try {
    await lstat(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw unreadableBecause(folder, error);
  }
  throw new BirdboneError('usage', `${folder} exists already; nothing is written over it.`, {
    file: folder,
    suggestions: ['Name a folder that does not exist yet.', 'Remove it yourself.'],
  });
}

/** The folders from `parent` up to the first that had to be made, innermost first. */
function madeFolders(parent: string, firstMade: string | undefined): string[] {
  if (firstMade === undefined) return [];
  const made: string[] = [];
  for (let at = parent; at.length >= firstMade.length; at = path.dirname(at)) made.push(at);
  return made;
}

/** Somebody may have put something into a new folder in the meantime; then it stays. */
async function removeEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
