import { BlobReader, blobSizes, readBlobs } from './blob-reader.js';
import { git, gitOutput, withoutNewline } from './git.js';
import { type IndexEntry, indexEntries, stagedChanges } from './index-entries.js';
import { type LfsPointer, MAX_POINTER_BYTES, parseLfsPointer } from './lfs-pointer.js';
import { lfsFolder, openLfsObject } from './recorded-content.js';
import type { Tree, TreeFile } from './tree.js';
import { HASHES_FILE, parseWeightHashes, type WeightHashesByPath } from './weight-hashes.js';
import { pathProblem } from './weight-path.js';

/**
 * The weights as the next commit would have them. Lists the index and compares it with the last commit; reads only what is
 * small enough for a git-lfs pointer. Throws `unreadable` during an unsettled merge.
 */
export async function openStagedTree(root: string): Promise<Tree> {
  const entries = await indexEntries(root);
  const changes = await stagedChanges(root, await headOf(root));
  const blobs = new BlobReader(root);
  const recorded = entries.get(HASHES_FILE);
  entries.delete(HASHES_FILE);
  const refused = new Map([...entries.values()].flatMap((entry) => refusal(entry) ?? []));
  const regular = [...entries.values()].filter(({ path }) => !refused.has(path));
  const sizes = await sizesOf(root, regular);
  const pointers = await pointersAmong(root, sizes);
  const lfs = pointers.size === 0 ? '' : await lfsFolder(root);
  const files = regular.map(({ path, oid }): [string, TreeFile] => {
    const pointer = pointers.get(oid);
    const label = `:${path}`;
    return [
      path,
      {
        path,
        ...(pointer && { pointer }),
        size: pointer?.size ?? sizes.get(oid) ?? 0,
        isAsCommitted: !changes.has(path),
        open: () => (pointer === undefined ? blobs.open(oid, label) : openLfsObject(lfs, pointer.sha256, label)),
      },
    ];
  });
  const change = changes.get(HASHES_FILE);
  let read: Promise<WeightHashesByPath | undefined> | undefined;
  const hashes = () => (read ??= hashesInBlob(blobs, recorded?.oid, `:${HASHES_FILE}`));
  return {
    root,
    name: 'index',
    files: new Map(files),
    refused,
    skipped: new Set(),
    hashes,
    committedHashes: () =>
      change === undefined ? hashes() : hashesInBlob(blobs, change.committed, `HEAD:${HASHES_FILE}`),
    blobs,
    close: () => blobs.close(),
  };
}

/** The last commit, or the empty tree before the first one. */
async function headOf(root: string): Promise<string> {
  const { code } = await git(['rev-parse', '--quiet', '--verify', 'HEAD^{commit}'], { cwd: root });
  if (code === 0) return 'HEAD';
  return withoutNewline(await gitOutput(['hash-object', '-t', 'tree', '--stdin'], { cwd: root }));
}

function refusal({ path, mode }: IndexEntry): [path: string, why: string][] | undefined {
  const problem = pathProblem(path);
  if (problem !== undefined) return [[path, `its path ${problem}`]];
  if (mode === '120000') return [[path, 'it is a symbolic link']];
  return mode === '160000' ? [[path, 'it is a submodule']] : undefined;
}

/** By blob. */
async function sizesOf(root: string, entries: readonly IndexEntry[]): Promise<Map<string, number>> {
  if (entries.length === 0) return new Map();
  return blobSizes(
    root,
    entries.map(({ oid }) => oid),
  );
}

/** By blob. Whatever is small enough is read: there is no other way to tell. */
async function pointersAmong(root: string, sizes: ReadonlyMap<string, number>): Promise<Map<string, LfsPointer>> {
  const small = [...sizes].filter(([, size]) => size <= MAX_POINTER_BYTES).map(([oid]) => oid);
  const blobs = small.length === 0 ? new Map<string, Buffer>() : await readBlobs(root, small);
  const found = [...blobs].map(([oid, bytes]) => [oid, parseLfsPointer(bytes)] as const);
  return new Map(found.filter((entry): entry is [string, LfsPointer] => entry[1] !== undefined));
}

/** Git names the blob of a file that is not there with zeros. */
async function hashesInBlob(
  blobs: BlobReader,
  oid: string | undefined,
  label: string,
): Promise<WeightHashesByPath | undefined> {
  if (oid === undefined || /^0+$/.test(oid)) return undefined;
  const content = await blobs.open(oid, label);
  return content && parseWeightHashes(content);
}
