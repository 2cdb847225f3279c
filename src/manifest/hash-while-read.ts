import type { Checkpoint, ReadRange, TensorInfo } from '../checkpoint/index.js';
import { openDigests, type TensorHash } from './digests.js';
import { type HashOptions, hashRest, type TensorDigest, type WeightHashes } from './hash.js';

/** A checkpoint whose bytes are hashed while somebody reads them. */
export interface HashedReading {
  readonly checkpoint: Checkpoint;
  /**
   * What `hashCheckpoint` says of it. Tensors that have been read from start to end, in order, are not read again for it; any others
   * are. To be asked once, when the reading is over. Throws as `hashCheckpoint`.
   */
  hashes(options?: HashOptions): Promise<WeightHashes>;
  /** Lets go of the thread that hashes; for whoever may not come to ask. */
  close(): Promise<void>;
}

/** A tensor that is read in order, and its digest so far. */
interface Followed {
  readonly hash: TensorHash;
  /** Where the next read must begin. */
  next: number;
  /** Resolves when the bytes of all reads so far are with the hash: reads may end in another order than they began in. */
  handed: Promise<unknown>;
  isBroken: boolean;
}

/**
 * The checkpoint, read through which it is hashed, on a thread where there is much of it: what is read into memory that threads share
 * is hashed where it lies, before the reader has it. Reads may be under way side by side, if they begin in order. Closing it closes the
 * source.
 */
export function hashWhileRead(source: Checkpoint): HashedReading {
  const total = [...source.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  const digests = openDigests(total, 1);
  const followed = new Map<string, Followed>();
  const whole = new Map<string, Promise<TensorDigest>>();
  return {
    checkpoint: {
      ...source,
      async read(name, range) {
        const reading = source.read(name, range);
        const info = source.tensors.get(source.aliases.get(name) ?? name);
        // Before the reader has the bytes: they are its own then, to be changed.
        if (info !== undefined && !whole.has(info.name)) await follow(info, range, reading);
        return reading;
      },
    },
    async hashes(options = {}) {
      try {
        const known = await Promise.all([...whole].map(async ([name, digest]) => [name, await digest] as const));
        return await hashRest(source, new Map(known), options);
      } finally {
        await digests.close();
      }
    },
    close: () => digests.close(),
  };

  /** Has the bytes of a read that begins now hashed after those of the reads before it, if they come next. */
  async function follow(info: TensorInfo, range: ReadRange | undefined, reading: Promise<Uint8Array>): Promise<void> {
    const { name, byteLength } = info;
    const { offset, length } = range ?? { offset: 0, length: byteLength };
    if (offset === 0) {
      followed.set(name, { hash: digests.begin(info), next: 0, handed: Promise.resolve(), isBroken: false });
    }
    const tensor = followed.get(name);
    if (tensor === undefined) return;
    if (offset !== tensor.next) {
      followed.delete(name);
      return;
    }
    tensor.next += length;
    const isLast = tensor.next === byteLength;
    // What has failed is told by the read itself.
    const handed = Promise.all([reading.catch(() => undefined), tensor.handed]).then(([bytes]) => {
      return { added: take(info, tensor, bytes, isLast) };
    });
    tensor.handed = handed;
    await (await handed).added;
  }

  /** The next bytes of a tensor; undefined where they could not be read. Resolves when they are the reader's. */
  function take(info: TensorInfo, tensor: Followed, bytes: Uint8Array | undefined, isLast: boolean) {
    const { name, dtype, shape } = info;
    tensor.isBroken ||= bytes === undefined;
    if (bytes === undefined || tensor.isBroken) return undefined;
    const { hash } = tensor;
    const added = bytes.buffer instanceof SharedArrayBuffer ? hash.updateShared(bytes) : hash.update(bytes);
    if (isLast) {
      const digest = hash.end().then((sha256) => ({ dtype, shape, sha256 }));
      // Thrown where it is asked for.
      digest.catch(() => {});
      whole.set(name, digest);
    }
    return added;
  }
}
