import type { Hash } from 'node:crypto';

/** The next bytes of something that is hashed piece by piece. */
export interface DigestPiece {
  /** Which of the digests that are under way. */
  readonly digest: number;
  /** What a new one begins with. */
  readonly prefix?: string;
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
}

const begun = new Map<number, Hash>();

/** Adds a piece to its digest, of which this thread has seen all pieces before; after the last one, the digest in hex. */
export function hashPiece({ digest, prefix, bytes, isLast }: DigestPiece): string | undefined {
  // Loaded by threads that hash alone: it takes 10 MB of each.
  const { createHash } = process.getBuiltinModule('node:crypto');
  if (prefix !== undefined) begun.set(digest, createHash('sha256').update(prefix));
  const hash = begun.get(digest)!.update(bytes);
  if (!isLast) return undefined;
  begun.delete(digest);
  return hash.digest('hex');
}
