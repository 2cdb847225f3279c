import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { systemCode, unwritableBecause } from './failure.js';

/** Characters of a file's name that its temporary name keeps: a name may have 255 bytes, and a character up to 3. */
const KEPT_CHARACTERS = 60;

/** Pieces of text that go into one call: pieces are lines, and a call for each takes far longer than the line. */
const JOINED_PIECES = 1024;

/**
 * One call writes this much. Linux looks for memory in pieces as large as a call: for those of 4 MiB it took five times the processor
 * time for the same bytes (Linux 6.18, ext4).
 */
const MAX_WRITE_BYTES = 2 ** 20;

/** A leftover of a process that was killed has not changed for so long; a younger one may be somebody's that still writes. */
const LEFTOVER_MILLISECONDS = 24 * 3600 * 1000;

/** A new name beside `file` for what is not finished: in the same folder, so that a rename can put it in its place. */
export function temporaryName(file: string): string {
  return path.join(path.dirname(file), `${temporaryStart(file)}${randomBytes(6).toString('hex')}`);
}

function temporaryStart(file: string): string {
  return `.${path.basename(file).slice(0, KEPT_CHARACTERS)}.tmp-`;
}

/**
 * Removes what killed processes left under temporary names of `file`, a day old or more, before it is written again: nothing
 * else looks after the folders that are not a run's own.
 */
export async function removeLeftovers(file: string): Promise<void> {
  const folder = path.dirname(file);
  const start = temporaryStart(file);
  for (const name of await readdir(folder)) {
    if (!name.startsWith(start) || !/^[0-9a-f]{12}$/.test(name.slice(start.length))) continue;
    const leftover = path.join(folder, name);
    if (await isOld(leftover)) await rm(leftover, { recursive: true, force: true });
  }
}

async function isOld(leftover: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(leftover)).mtimeMs > LEFTOVER_MILLISECONDS;
  } catch (error) {
    // Another process has removed it first.
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/**
 * Writes a file whole or not at all: beside it, synced, renamed, and the folder synced. A crash leaves the old file or the new
 * one, and at most a temporary file. Text may come in pieces, of which a file may have too many for one string. Throws `unwritable`, with the old file untouched and the temporary one removed.
 */
export async function writeFileDurably(file: string, data: string | Uint8Array | Iterable<string>): Promise<void> {
  const temporary = temporaryName(file);
  await writing(file, async () => {
    await removeLeftovers(file);
    try {
      const handle = await open(temporary, 'wx');
      try {
        if (typeof data === 'string' || data instanceof Uint8Array) await handle.writeFile(data);
        else for (const text of joined(data)) await handle.appendFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await renameDurably(temporary, file);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  });
}

function* joined(pieces: Iterable<string>): Generator<string> {
  let some: string[] = [];
  for (const piece of pieces) {
    some.push(piece);
    if (some.length < JOINED_PIECES) continue;
    yield some.join('');
    some = [];
  }
  yield some.join('');
}

/** Writes all the bytes to a place in an opened file. Throws as the system does: see `writing`. */
export async function writeAt(handle: FileHandle, position: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const wanted = Math.min(MAX_WRITE_BYTES, bytes.length - done);
    const { bytesWritten } = await handle.write(bytes, done, wanted, position + done);
    done += bytesWritten;
  }
}

/** Renames a file or folder within one file system; the new name is on disk when this returns. Throws `unwritable`. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await writing(to, async () => {
    await rename(from, to);
    await syncFolder(path.dirname(to));
    if (path.dirname(from) !== path.dirname(to)) await syncFolder(path.dirname(from));
  });
}

/** Makes the names in a folder durable: after a power cut a synced file without a synced name is lost. Throws `unwritable`. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folders, and keeps names in its own journal.
  if (process.platform === 'win32') return;
  await writing(folder, async () => {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  });
}

/**
 * Makes a folder and those above it; their names are on disk when this returns, for each new one is a name in the one above it,
 * which a power cut may take back with all that is in it. Throws `unwritable`.
 */
export async function makeFolder(folder: string): Promise<void> {
  const full = path.resolve(folder);
  const highest = await writing(full, () => mkdir(full, { recursive: true }));
  for (let at = full; highest !== undefined && at.length >= highest.length; at = path.dirname(at)) {
    await syncFolder(path.dirname(at));
  }
}

/** The result of `work`, whose failures of the operating system become `unwritable` errors about `file`. */
export async function writing<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw unwritableBecause(file, error);
  }
}
