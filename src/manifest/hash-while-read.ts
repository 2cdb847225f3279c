import type { Hash } from 'node:crypto';
import { beginTensorDigest, type Checkpoint, type TensorInfo } from '../checkpoint/index.js';
import { type HashOptions, hashRest, type TensorDigest, type WeightHashes } from './hash.js';

/** A checkpoint whose bytes are hashed while somebody reads them. */
export interface HashedReading {
  readonly checkpoint: Checkpoint;
  /**
   * What `hashCheckpoint` says of it. Tensors that have been read from start to end, in order, are not read again for it; any others
   * are. Throws as `hashCheckpoint`.
   */
  hashes(options?: HashOptions): Promise<WeightHashes>;
}

/** A tensor that is read in order: its digest so far, and where the next bytes must begin. */
interface Followed {
  readonly hash: Hash;
  next: number;
}

/** The checkpoint, read through which it is hashed. Closing it closes the source. */
export function hashWhileRead(source: Checkpoint): HashedReading {
  const followed = new Map<string, Followed>();
  const digests = new Map<string, TensorDigest>();
  return {
    checkpoint: {
      ...source,
      async read(name, range) {
        const bytes = await source.read(name, range);
        const info = source.tensors.get(source.aliases.get(name) ?? name)!;
        // Before the reader has the bytes: they are its own then, to be changed.
        if (!digests.has(info.name)) follow(info, range?.offset ?? 0, bytes);
        return bytes;
      },
    },
    hashes: (options = {}) => hashRest(source, digests, options),
  };

  function follow(info: TensorInfo, offset: number, bytes: Uint8Array): void {
    const { name, dtype, shape, byteLength } = info;
    if (offset === 0) followed.set(name, { hash: beginTensorDigest(info), next: 0 });
    const tensor = followed.get(name);
    if (tensor === undefined) return;
    if (offset !== tensor.next) {
      followed.delete(name);
      return;
    }
    tensor.hash.update(bytes);
    tensor.next += bytes.length;
    if (tensor.next < byteLength) return;
    followed.delete(name);
    digests.set(name, { dtype, shape, sha256: tensor.hash.digest('hex') });
  }
}
