import path from 'node:path';
import { type ByteSource, FileSource } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { type BlobReader, labelled } from './blob-reader.js';
import { git, gitOutput, withoutNewline } from './git.js';
import { MAX_POINTER_BYTES, parseLfsPointer } from './lfs-pointer.js';

/** Where this clone's git-lfs keeps its objects. Source: git-lfs-config(5), lfs.storage. */
export async function lfsFolder(root: string): Promise<string> {
  const common = withoutNewline(await gitOutput(['rev-parse', '--git-common-dir'], { cwd: root }));
  const gitFolder = path.resolve(root, common);
  const { stdout, code } = await git(['config', '--type=path', '--get', 'lfs.storage'], { cwd: root });
  return path.resolve(gitFolder, code === 0 ? withoutNewline(stdout) : 'lfs');
}

/** The content of a git-lfs object if this clone has it; never downloads. Throws as a read does when it is no plain file. */
export async function openLfsObject(folder: string, sha256: string, label: string): Promise<ByteSource | undefined> {
  const object = path.join(folder, 'objects', sha256.slice(0, 2), sha256.slice(2, 4), sha256);
  try {
    return labelled(await FileSource.open(object), label);
  } catch (error) {
    if (error instanceof BirdboneError && isMissing(error.cause)) return undefined;
    throw error;
  }
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR');
}

export interface CommittedContent {
  readonly root: string;
  readonly blobs: BlobReader;
}

/**
 * What the last commit has under a path: the blob, or the git-lfs object that it points to. Undefined where there is no
 * commit, no such file, or its content is not in this clone.
 */
export async function openAtHead({ root, blobs }: CommittedContent, file: string): Promise<ByteSource | undefined> {
  const args = ['--literal-pathspecs', 'ls-tree', '-z', '--full-tree', 'HEAD', '--', file];
  const { stdout, code } = await git(args, { cwd: root });
  const oid = /^100\d{3} blob ([0-9a-f]+)\t/.exec(stdout.toString('latin1'))?.[1];
  if (code !== 0 || oid === undefined) return undefined;
  const label = `HEAD:${file}`;
  const content = await blobs.open(oid, label);
  if (content === undefined || content.size > MAX_POINTER_BYTES) return content;
  const pointer = parseLfsPointer(await content.read(0, content.size));
  return pointer === undefined ? content : openLfsObject(await lfsFolder(root), pointer.sha256, label);
}
