import type { Checkpoint, TensorInfo } from '../checkpoint/index.js';
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

/** A tensor that is read in order: its digest so far, and where the next bytes must begin. */
interface Followed {
  readonly hash: TensorHash;
  next: number;
}

/**
 * The checkpoint, read through which it is hashed, on a thread where there is much of it: what is read into memory that threads share
 * is hashed where it lies, before the reader has it. Closing it closes the source.
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
        const bytes = await source.read(name, range);
        const info = source.tensors.get(source.aliases.get(name) ?? name)!;
        // Before the reader has the bytes: they are its own then, to be changed.
        if (!whole.has(info.name)) await follow(info, range?.offset ?? 0, bytes);
        return bytes;
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

  async function follow(info: TensorInfo, offset: number, bytes: Uint8Array): Promise<void> {
    const { name, dtype, shape, byteLength } = info;
    if (offset === 0) followed.set(name, { hash: digests.begin(info), next: 0 });
    const tensor = followed.get(name);
    if (tensor === undefined) return;
    if (offset !== tensor.next) {
      followed.delete(name);
      return;
    }
    tensor.next += bytes.length;
    const { hash } = tensor;
    const added = bytes.buffer instanceof SharedArrayBuffer ? hash.updateShared(bytes) : hash.update(bytes);
    if (tensor.next === byteLength) {
      followed.delete(name);
      const digest = tensor.hash.end().then((sha256) => ({ dtype, shape, sha256 }));
      // Thrown where it is asked for.
      digest.catch(() => {});
      whole.set(name, digest);
    }
    await added;
  }
}
