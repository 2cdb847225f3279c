import { constants, fstatSync, readSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { BirdboneError } from '../../errors.js';
import { unreadable, unreadableBecause } from './failure.js';

/** One system call moves at most this much: above 2^31 − 1 bytes Node refuses, and Linux stops short of it. */
const MAX_READ_BYTES = 2 ** 28;

/** Bytes that are read by position, a piece at a time: a file's, or those that a process has in memory. */
export interface ByteSource {
  /** What messages name. */
  readonly path: string;
  readonly size: number;
  /**
   * Bytes `[offset, offset + length)`, in an array of its own, or at the start of `into`. Throws `unreadable` when the file changed or
   * the disk fails.
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  /** Fills `bytes` from `offset` on, at once: for headers, which are parsed while they are read. Throws as `read` does. */
  readSync(offset: number, bytes: Uint8Array): void;
  /**
   * Has the system bring a range into its cache of files, ahead of a `read`; keeps none of it. Resolves in any case: whoever reads
   * the range for use is told what is wrong with it. Absent where there is no file.
   */
  prefetch?(offset: number, length: number): Promise<void>;
  close(): Promise<void>;
}

/** Where bytes go that are read for the system's cache alone: all to the same place, over and over. */
const NOWHERE_BYTES = 2 ** 20;
/** One call brings 64 MB: few turns of a loop that is busy computing, and closing the file waits for no more. */
const NOWHERES_IN_A_CALL = 64;
let nowhere: Uint8Array | undefined;

/**
 * The bytes of one regular file, read by position and never as a whole. What was checked when the file was opened stays true:
 * a file that is cut or rewritten in place ends in `unreadable`, and one that is replaced under its name is read on as it was.
 */
export class FileSource implements ByteSource {
  readonly path: string;
  readonly size: number;
  readonly #handle: FileHandle;
  readonly #modified: bigint;

  private constructor(path: string, handle: FileHandle) {
    const status = fstatSync(handle.fd, { bigint: true });
    this.path = path;
    this.size = Number(status.size);
    this.#handle = handle;
    this.#modified = status.mtimeNs;
  }

  /**
   * Opens a file, or what a symbolic link leads to: Hugging Face's cache is made of links into its `blobs` folder. Anything
   * that is no regular file is refused, before opening (a device may act on that) and after (it may have been exchanged).
   */
  static async open(path: string): Promise<FileSource> {
    let handle: FileHandle | undefined;
    try {
      if (!(await stat(path)).isFile()) throw notRegular(path);
      // O_NONBLOCK: opening a FIFO that took the file's place must not wait for a writer.
      handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      if (!(await handle.stat()).isFile()) throw notRegular(path);
      return new FileSource(path, handle);
    } catch (error) {
      await handle?.close();
      throw unreadableBecause(path, error);
    }
  }

  async read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    const bytes = into === undefined ? allocate(this.path, length) : into.subarray(0, length);
    if (bytes.length !== length) throw new RangeError(`${length} bytes do not fit into ${bytes.length}.`);
    let done = 0;
    while (done < length) {
      const wanted = Math.min(MAX_READ_BYTES, length - done);
      const { bytesRead } = await this.#handle.read(bytes, done, wanted, offset + done).catch((error: unknown) => {
        throw unreadableBecause(this.path, error);
      });
      if (bytesRead === 0) throw this.#cut(offset + done);
      done += bytesRead;
    }
    this.#refuseChanges();
    return bytes;
  }

  readSync(offset: number, bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) {
      const bytesRead = this.#trySync(() => readSync(this.#handle.fd, bytes, done, bytes.length - done, offset + done));
      if (bytesRead === 0) throw this.#cut(offset + done);
      done += bytesRead;
    }
    this.#refuseChanges();
  }

  async prefetch(offset: number, length: number): Promise<void> {
    nowhere ??= new Uint8Array(NOWHERE_BYTES);
    const pieces = new Array<Uint8Array>(NOWHERES_IN_A_CALL).fill(nowhere);
    for (let done = 0; done < length; ) {
      const left = length - done;
      const whole = Math.min(NOWHERES_IN_A_CALL, Math.floor(left / NOWHERE_BYTES));
      const wanted = whole > 0 ? pieces.slice(0, whole) : [nowhere.subarray(0, left)];
      // The file may be closed by now, or the disk fail: nothing has been promised of these bytes.
      const { bytesRead } = await this.#handle.readv(wanted, offset + done).catch(() => ({ bytesRead: 0 }));
      if (bytesRead === 0) return;
      done += bytesRead;
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  #trySync<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw unreadableBecause(this.path, error);
    }
  }

  /** Costs 2 µs beside the read. A rewrite in place of the same length shows in the time alone. */
  #refuseChanges(): void {
    const status = this.#trySync(() => fstatSync(this.#handle.fd, { bigint: true }));
    if (Number(status.size) === this.size && status.mtimeNs === this.#modified) return;
    throw this.#changed(
      `it had ${this.size} bytes when it was opened, and was written to since; it has ${status.size}`,
    );
  }

  #cut(offset: number): BirdboneError {
    return this.#changed(`it had ${this.size} bytes when it was opened, and now ends before byte ${offset}`);
  }

  #changed(problem: string): BirdboneError {
    return unreadable(this.path, `${problem}`, {
      suggestions: ['Let whatever writes the file finish, then run the command again.'],
    });
  }
}

/** A source over bytes in memory (a blob of git's, a mutation under test), which the caller leaves as they are. */
export function memorySource(path: string, bytes: Uint8Array): ByteSource {
  const within = (offset: number, length: number): Uint8Array => {
    if (offset + length <= bytes.length) return bytes.subarray(offset, offset + length);
    throw unreadable(path, `it has ${bytes.length} bytes, and ends before byte ${offset + length}`);
  };
  return {
    path,
    size: bytes.length,
    read: async (offset, length) => new Uint8Array(within(offset, length)),
    readSync: (offset, into) => into.set(within(offset, into.length)),
    async close() {},
  };
}

function notRegular(path: string): BirdboneError {
  return unreadable(path, 'it is no regular file', { suggestions: ['Name a file, not a folder, pipe or device.'] });
}

function allocate(path: string, length: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new BirdboneError('out-of-memory', `Cannot read ${length} bytes of ${path} into one piece of memory.`, {
      file: path,
      cause,
    });
  }
}
