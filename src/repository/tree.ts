import type { ByteSource } from '../checkpoint/index.js';
import type { BlobReader } from './blob-reader.js';
import type { LfsPointer } from './lfs-pointer.js';
import type { WeightHashesByPath } from './weight-hashes.js';

/** A file of weights in the working tree or in git's index. */
export interface TreeFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  /** What it stands for, when it is a git-lfs pointer. */
  readonly pointer?: LfsPointer;
  /** In bytes; for a pointer that of the content it stands for. */
  readonly size: number;
  /** True when git knows that the last commit has the same. */
  readonly isAsCommitted: boolean;
  /** Its content; for a pointer that of git-lfs's own store, or undefined when it is not in this clone. */
  open(): Promise<ByteSource | undefined>;
}

/** The weights of a repository as they are in one place, and what is recorded of them there. */
export interface Tree {
  readonly root: string;
  /** What messages call it. */
  readonly name: 'working tree' | 'index';
  readonly files: ReadonlyMap<string, TreeFile>;
  /** Files with an ending of weights that are not looked at, and why: by path. */
  readonly refused: ReadonlyMap<string, string>;
  /** Files that git tracks and a sparse checkout leaves out of the folder: nothing can be said of them there. */
  readonly skipped: ReadonlySet<string>;
  /** .weight_hashes.json as it is there; undefined when there is none. Throws `unreadable` for a broken one. */
  hashes(): Promise<WeightHashesByPath | undefined>;
  /** .weight_hashes.json of the last commit, where `isAsCommitted` can be true; undefined otherwise. */
  committedHashes(): Promise<WeightHashesByPath | undefined>;
  /** Reads from git's store; undefined without git. */
  readonly blobs: BlobReader | undefined;
  close(): Promise<void>;
}
