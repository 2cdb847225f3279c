import { beginTensorDigest, type TensorInfo, tensorDigestPrefix } from '../checkpoint/index.js';
import { openThreads, SpareMemory, type Threads } from '../threads/index.js';
import type { DigestPiece } from './digest-piece.js';

/** Large enough that a read and a message cost nothing beside its bytes; a few of them in memory are little. */
const PIECE_BYTES = 4 * 1024 * 1024;

/** Of fewer bytes a thread makes nothing of the time that it takes to start. */
const MIN_THREADED_BYTES = 64 * 1024 * 1024;

/** Pieces of one digest that wait for their thread: it has the next when it is done with one. */
const AHEAD = 2;

/** The digest of one tensor, under way. */
export interface TensorHash {
  /** Adds the next bytes, which are the caller's again at once; resolves when there is room for more. */
  update(bytes: Uint8Array): Promise<void>;
  /** The same of bytes at the start of a piece of `memory`, which goes back there by itself. */
  updateOwn(bytes: Uint8Array): Promise<void>;
  /** The same of bytes in memory that threads share: it is not copied, and the caller's again when this resolves. */
  updateShared(bytes: Uint8Array): Promise<void>;
  /** In hex. */
  end(): Promise<string>;
}

/** Digests of tensors, on threads of their own where there is so much to hash that it pays. */
export interface Digests {
  /** How many tensors can be hashed side by side. */
  readonly parallel: number;
  readonly memory: SpareMemory;
  /** Begins a tensor's digest, on one of the threads. */
  begin(info: TensorInfo, thread?: number): TensorHash;
  close(): Promise<void>;
}

/** Digests are told apart by number, whoever has them made. */
let next = 0;

/** Returns what hashes so many bytes, on up to so many threads; they start with the first tensor. */
export function openDigests(totalBytes: number, threads: number): Digests {
  const memory = new SpareMemory(PIECE_BYTES);
  if (totalBytes < MIN_THREADED_BYTES || threads < 1) {
    return { parallel: 1, memory, begin: (info) => hashHere(info, memory), close: async () => {} };
  }
  const pool = openThreads<DigestPiece, string | undefined>('hash', threads);
  return {
    parallel: pool.count,
    memory,
    begin: (info, thread = 0) => new ThreadedHash(info, { pool, memory, thread, digest: next++ }),
    close: () => pool.close(),
  };
}

function hashHere(info: TensorInfo, memory: SpareMemory): TensorHash {
  const hash = beginTensorDigest(info);
  return {
    async update(bytes) {
      hash.update(bytes);
    },
    async updateOwn(bytes) {
      hash.update(bytes);
      memory.give(bytes);
    },
    async updateShared(bytes) {
      hash.update(bytes);
    },
    end: async () => hash.digest('hex'),
  };
}

interface HashingThread {
  readonly pool: Threads<DigestPiece, string | undefined>;
  readonly memory: SpareMemory;
  readonly thread: number;
  readonly digest: number;
}

class ThreadedHash implements TensorHash {
  readonly #at: HashingThread;
  #prefix: string | undefined;
  readonly #waiting: Promise<void>[] = [];

  constructor(info: TensorInfo, at: HashingThread) {
    this.#prefix = tensorDigestPrefix(info);
    this.#at = at;
  }

  async update(bytes: Uint8Array): Promise<void> {
    const { memory } = this.#at;
    // All are on their way before anything is waited for.
    for (let done = 0; done < bytes.length; done += memory.bytes) {
      const part = bytes.subarray(done, done + memory.bytes);
      const own = memory.take().subarray(0, part.length);
      own.set(part);
      this.#send(own);
    }
    await this.#room();
  }

  async updateOwn(bytes: Uint8Array): Promise<void> {
    this.#send(bytes);
    await this.#room();
  }

  async updateShared(bytes: Uint8Array): Promise<void> {
    await this.#run(bytes, false);
  }

  async end(): Promise<string> {
    const sha256 = await this.#run(new Uint8Array(0), true);
    return sha256!;
  }

  /** Has a piece of memory hashed, which is free again then. */
  #send(bytes: Uint8Array): void {
    const { memory } = this.#at;
    const hashed = this.#run(bytes, false).then(() => memory.give(bytes));
    // Thrown where it is waited for.
    hashed.catch(() => {});
    this.#waiting.push(hashed);
  }

  #run(bytes: Uint8Array, isLast: boolean): Promise<string | undefined> {
    const { pool, thread, digest } = this.#at;
    const prefix = this.#prefix;
    this.#prefix = undefined;
    return pool.run({ digest, bytes, isLast, ...(prefix !== undefined && { prefix }) }, [], thread);
  }

  async #room(): Promise<void> {
    while (this.#waiting.length > AHEAD) await this.#waiting.shift();
  }
}
