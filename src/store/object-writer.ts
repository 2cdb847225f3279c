import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { renameDurably, temporaryName, writeAt, writing } from '../checkpoint/index.js';
import { type ObjectId, objectPath } from './object-id.js';

/** Nobody has a reason to change an object, and a shell's redirection into one fails. */
const READ_ONLY = 0o444;

const DIGEST_CHUNK_BYTES = 1024 * 1024;

/** Is told of an object in its place, and what the system said of its file before its bytes were read for their digest. */
type OnPlaced = (id: ObjectId, written: BigIntStats) => Promise<void>;

interface OpenedObject {
  readonly temporary: string;
  readonly handle: FileHandle;
  readonly headBytes: number;
  readonly onPlaced: OnPlaced;
}

/** What was put into the store. */
export interface StoredObject {
  readonly id: ObjectId;
  /** The size of its file. */
  readonly bytes: number;
}

/**
 * Writes one object from start to end, of which only the first bytes may come last: a head tells what the whole is, and that is
 * known when the rest is written. `commit` makes it appear under its digest, whole and on disk. An object that is there already
 * is renewed: its bytes are the same, its time is now, and should the disk have damaged it, it is sound again.
 */
export class ObjectWriter {
  readonly #folder: string;
  readonly #temporary: string;
  readonly #handle: FileHandle;
  readonly #headBytes: number;
  readonly #onPlaced: OnPlaced;
  #end: number;
  #isPlaced = false;

  private constructor(folder: string, opened: OpenedObject) {
    this.#folder = folder;
    this.#temporary = opened.temporary;
    this.#handle = opened.handle;
    this.#headBytes = opened.headBytes;
    this.#onPlaced = opened.onPlaced;
    this.#end = opened.headBytes;
  }

  /** Begins an object under a temporary name in the store's folder, which exists. Throws `unwritable`. */
  static async create(folder: string, headBytes: number, onPlaced: OnPlaced): Promise<ObjectWriter> {
    const temporary = temporaryName(path.join(folder, 'object'));
    const handle = await writing(temporary, () => open(temporary, 'wx+', READ_ONLY));
    return new ObjectWriter(folder, { temporary, handle, headBytes, onPlaced });
  }

  /** Writes the next bytes after the head. Throws `unwritable`. */
  async append(bytes: Uint8Array): Promise<void> {
    // Before waiting, so that two writes at once cannot both take this place.
    const position = this.#end;
    this.#end += bytes.length;
    await this.#writeAt(position, bytes);
  }

  /** Writes the head and puts the object in its place. On failure `abort` still has to be called. */
  async commit(head: Uint8Array): Promise<StoredObject> {
    if (head.length !== this.#headBytes) throw new RangeError(`${head.length} bytes for a head of ${this.#headBytes}.`);
    await this.#writeAt(0, head);
    const written = await this.#handle.stat({ bigint: true });
    const id = await this.#digest();
    await writing(this.#temporary, async () => {
      await this.#handle.sync();
      await this.#handle.close();
    });
    const file = path.join(this.#folder, objectPath(id));
    await writing(file, () => mkdir(path.dirname(file), { recursive: true }));
    await renameDurably(this.#temporary, file);
    this.#isPlaced = true;
    await this.#onPlaced(id, written);
    return { id, bytes: this.#end };
  }

  /** Leaves nothing behind. May be called at any time, also again and after `commit`. */
  async abort(): Promise<void> {
    // A closed FileHandle has the descriptor −1; closing it again would throw.
    if (this.#handle.fd !== -1) await this.#handle.close();
    if (!this.#isPlaced) await rm(this.#temporary, { force: true });
  }

  async #digest(): Promise<ObjectId> {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(DIGEST_CHUNK_BYTES);
    for (let position = 0; ; ) {
      const { bytesRead } = await writing(this.#temporary, () => this.#handle.read(buffer, 0, buffer.length, position));
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
  }

  async #writeAt(position: number, bytes: Uint8Array): Promise<void> {
    await writing(this.#temporary, () => writeAt(this.#handle, position, bytes));
  }
}
