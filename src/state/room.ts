import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { BirdboneError } from '../errors.js';

/** Free bytes for this user on the file system where `folder` is, or will be. */
export async function freeBytes(folder: string): Promise<number> {
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    try {
      const { bavail, bsize } = await statfs(at);
      return bavail * bsize;
    } catch (error) {
      // What does not exist yet will be on the file system of its nearest existing parent.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || at === path.dirname(at)) throw error;
    }
  }
}

/** Throws `unwritable` when the file system of `folder` has less than `bytes` free: better before hours of work than after. */
export async function checkRoom(folder: string, bytes: number): Promise<void> {
  const free = await freeBytes(folder);
  if (free >= bytes) return;
  throw new BirdboneError('unwritable', `${folder} has ${free} bytes free; this run needs about ${bytes}.`, {
    file: folder,
    suggestions: ['Make room, or choose an --out on another disk.'],
  });
}
