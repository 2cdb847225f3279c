import { createHash } from 'node:crypto';
import type { BigIntStats, Dirent } from 'node:fs';
import { lstat, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { FileSource, makeFolder, unreadableBecause, writing } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { isObjectId, type ObjectId, objectPath } from './object-id.js';
import { ObjectWriter, type StoredObject } from './object-writer.js';

const VERIFY_CHUNK_BYTES = 1024 * 1024;

/** As `temporaryName` makes them of "object". */
const TEMPORARY = /^\.object\.tmp-[0-9a-f]+$/;
const FAN_OUT = /^[0-9a-f]{2}$/;

/** A name in a store's folder. */
export interface StoreEntry {
  /** foreign: nothing that a store puts there. */
  readonly kind: 'object' | 'temporary' | 'foreign';
  readonly path: string;
  /** Of an object. */
  readonly id?: ObjectId;
  readonly bytes: number;
  /** When the file was last written or renewed, in milliseconds since 1970 by the file system's clock. */
  readonly modified: number;
}

/** What the system says of an object's file. */
interface FoundObject {
  readonly size: number;
  readonly stat: BigIntStats;
  /** Another when the file was touched. */
  readonly stamp: string;
}

interface OpenedObject {
  readonly file: Promise<FileSource>;
  readers: number;
}

/**
 * Immutable files named by the sha256 of their bytes, so that equal ones are stored once and a changed one is found out.
 * Writers may work at the same time, in this process or others; removing is for whoever has made sure that nobody needs it.
 */
export class ObjectStore {
  readonly folder: string;
  /** What the system said of each object's file when it was found to be sound. */
  readonly #sound = new Map<ObjectId, string>();
  /** Files of objects that are being read now. */
  readonly #opened = new Map<ObjectId, OpenedObject>();

  /** A store in this folder, which need not exist before the first object does. */
  constructor(folder: string) {
    this.folder = folder;
  }

  /** Begins an object whose first `headBytes` bytes are written last. The caller commits or aborts it. Throws `unwritable`. */
  async begin(headBytes = 0): Promise<ObjectWriter> {
    await makeFolder(this.folder);
    return ObjectWriter.create(this.folder, headBytes, (id, written) => this.#trust(id, written));
  }

  /** What has just been written and read again is sound, as long as its file is the same and nobody has touched it in between. */
  async #trust(id: ObjectId, written: BigIntStats): Promise<void> {
    const found = await this.#statOf(id);
    const isSame = (field: 'dev' | 'ino' | 'size' | 'mtimeNs') => found?.stat[field] === written[field];
    if (found !== undefined && isSame('dev') && isSame('ino') && isSame('size') && isSame('mtimeNs')) {
      this.#sound.set(id, found.stamp);
    }
  }

  /** Puts bytes that are in memory into the store. Throws `unwritable`. */
  async put(bytes: Uint8Array): Promise<StoredObject> {
    const writer = await this.begin();
    try {
      await writer.append(bytes);
      return await writer.commit(new Uint8Array(0));
    } finally {
      await writer.abort();
    }
  }

  fileOf(id: ObjectId): string {
    return path.join(this.folder, objectPath(id));
  }

  /** The size of an object's file; undefined when it is not there. */
  async sizeOf(id: ObjectId): Promise<number | undefined> {
    return (await this.#statOf(id))?.size;
  }

  /**
   * Bytes of an object, in an array of their own or at the start of `into`, of a file whose digest this store has found to be right:
   * all of it is read the first time, and again when the file was touched since. Reads side by side share one open file, which no read
   * takes anything from that was written to meanwhile. Throws `mismatch` when the object is missing or damaged.
   */
  async read(id: ObjectId, offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    const opened = this.#opened.get(id) ?? { file: this.verify(id).then(() => this.#openFile(id)), readers: 0 };
    this.#opened.set(id, opened);
    opened.readers += 1;
    try {
      return await (await opened.file).read(offset, length, into);
    } finally {
      opened.readers -= 1;
      if (opened.readers === 0) {
        this.#opened.delete(id);
        await opened.file.then((file) => file.close(), NOTHING_OPENED);
      }
    }
  }

  /** Throws `mismatch` unless the object is there, byte for byte; what was found to be so and not touched since is not read. */
  async verify(id: ObjectId): Promise<void> {
    const found = await this.#statOf(id);
    if (found !== undefined && this.#sound.get(id) === found.stamp) return;
    if ((await this.#withFile(id, digestOf)) !== id) throw this.#damaged(id);
    // The stamp from before the bytes were read: a change in the meantime has another.
    if (found !== undefined) this.#sound.set(id, found.stamp);
  }

  /** Every name in the store's folder, in order; nothing when there is no such folder. */
  async *entries(): AsyncGenerator<StoreEntry, void, undefined> {
    for (const entry of await entriesIn(this.folder)) {
      const at = path.join(this.folder, entry.name);
      if (!FAN_OUT.test(entry.name) || !entry.isDirectory()) {
        yield* entryOf(at, entry.isFile() && TEMPORARY.test(entry.name) ? 'temporary' : 'foreign');
        continue;
      }
      for (const inner of await entriesIn(at)) {
        const isOurs = inner.isFile() && isObjectId(inner.name) && inner.name.startsWith(entry.name);
        yield* entryOf(path.join(at, inner.name), isOurs ? 'object' : 'foreign');
      }
    }
  }

  /** Removes an object; nothing happens when there is none. */
  async remove(id: ObjectId): Promise<void> {
    this.#sound.delete(id);
    await writing(this.fileOf(id), () => rm(this.fileOf(id), { force: true }));
  }

  async #statOf(id: ObjectId): Promise<FoundObject | undefined> {
    try {
      const found = await stat(this.fileOf(id), { bigint: true });
      const { dev, ino, size, mtimeNs, ctimeNs } = found;
      return { size: Number(size), stat: found, stamp: [dev, ino, size, mtimeNs, ctimeNs].join(':') };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw unreadableBecause(this.fileOf(id), error);
    }
  }

  #openFile(id: ObjectId): Promise<FileSource> {
    if (!isObjectId(id)) throw new RangeError(`${id} is no object's name.`);
    return FileSource.open(this.fileOf(id)).catch((error: unknown) => {
      throw isMissing(error) ? this.#missing(id) : error;
    });
  }

  async #withFile<T>(id: ObjectId, work: (file: FileSource) => Promise<T>): Promise<T> {
    const file = await this.#openFile(id);
    try {
      return await work(file);
    } finally {
      await file.close();
    }
  }

  #missing(id: ObjectId): BirdboneError {
    const file = this.fileOf(id);
    return new BirdboneError('mismatch', `The object ${file} is missing.`, { file, suggestions: [CHECK] });
  }

  #damaged(id: ObjectId): BirdboneError {
    const file = this.fileOf(id);
    const message = `The object ${file} is damaged: its bytes have another sha256 than its name says.`;
    return new BirdboneError('mismatch', message, { file, suggestions: [CHECK] });
  }
}

/** The read itself has said why. */
const NOTHING_OPENED = () => {};

const CHECK = 'See what is affected with birdbone check, and restore the file from a copy.';

async function digestOf(file: FileSource): Promise<ObjectId> {
  const hash = createHash('sha256');
  for (let offset = 0; offset < file.size; offset += VERIFY_CHUNK_BYTES) {
    hash.update(await file.read(offset, Math.min(VERIFY_CHUNK_BYTES, file.size - offset)));
  }
  return hash.digest('hex');
}

function isMissing(error: unknown): boolean {
  const cause = error instanceof BirdboneError ? error.cause : error;
  return (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

async function entriesIn(folder: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.sort((left, right) => (left.name < right.name ? -1 : 1));
  } catch (error) {
    if (isMissing(error)) return [];
    throw unreadableBecause(folder, error);
  }
}

/** Nothing for a name that was removed in the meantime, as other processes' temporary files are. */
async function* entryOf(file: string, kind: StoreEntry['kind']): AsyncGenerator<StoreEntry, void, undefined> {
  try {
    const { size, mtimeMs } = await lstat(file);
    const id = kind === 'object' ? { id: path.basename(file) } : {};
    yield { kind, path: file, ...id, bytes: size, modified: mtimeMs };
  } catch (error) {
    if (!isMissing(error)) throw unreadableBecause(file, error);
  }
}
