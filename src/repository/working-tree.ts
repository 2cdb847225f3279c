import { lstat, readdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import { type ByteSource, FileSource } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { readAhead } from '../threads/index.js';
import { BlobReader } from './blob-reader.js';
import { indexEntries, skippedPaths, untrackedPaths } from './index-entries.js';
import { type LfsPointer, MAX_POINTER_BYTES, parseLfsPointer } from './lfs-pointer.js';
import { lfsFolder, openLfsObject } from './recorded-content.js';
import type { Tree, TreeFile } from './tree.js';
import { HASHES_FILE, parseWeightHashes, type WeightHashesByPath } from './weight-hashes.js';
import { isWeightPath, pathProblem } from './weight-path.js';

export interface WorkingTreeOptions {
  /** False for a folder that git does not know. */
  readonly isGit: boolean;
  /** Leave out what git does not track. */
  readonly trackedOnly?: boolean;
}

/** Looking at a file is waiting for the disk. */
const LOOKS_AT_ONCE = 16;

/**
 * The weights as they lie in a repository's folder: what git tracks, and what it neither tracks nor ignores; without git, all
 * of them but those in hidden folders and node_modules. Symbolic links are refused by name, so nothing outside is read.
 */
export async function openWorkingTree(root: string, options: WorkingTreeOptions): Promise<Tree> {
  const { isGit } = options;
  const names = isGit ? await namesInGit(root, options) : await namesBelow(root, '');
  const blobs = isGit ? new BlobReader(root) : undefined;
  const lfs = isGit ? await lfsFolder(root) : undefined;
  const files = new Map<string, TreeFile>();
  const refused = new Map<string, string>();
  let isWhole = true;
  const inspected = [...new Set(names)].sort().map((name) => async () => {
    const found = await inspect(root, name);
    return { name, found: typeof found === 'number' ? await treeFile(root, name, { size: found, lfs }) : found };
  });
  for await (const { name, found } of readAhead(inspected, LOOKS_AT_ONCE)) {
    if (found === 'missing') isWhole = false;
    else if (typeof found === 'string') refused.set(name, found);
    else files.set(name, found);
  }
  return {
    root,
    name: 'working tree',
    files,
    refused,
    skipped: new Set(isGit && !isWhole ? await skippedPaths(root) : []),
    hashes: () => readWeightHashes(root),
    committedHashes: async () => undefined,
    blobs,
    close: async () => blobs?.close(),
  };
}

/** The .weight_hashes.json in a folder; undefined when there is none. Throws `unreadable` for a broken one. */
export async function readWeightHashes(root: string): Promise<WeightHashesByPath | undefined> {
  const found = await inspect(root, HASHES_FILE);
  if (found === 'missing') return undefined;
  const file = path.join(root, HASHES_FILE);
  if (typeof found === 'string') throw new BirdboneError('unreadable', `Cannot read ${file}: ${found}.`, { file });
  return reading(await FileSource.open(file), parseWeightHashes);
}

async function namesInGit(root: string, { trackedOnly }: WorkingTreeOptions): Promise<string[]> {
  const tracked = [...(await indexEntries(root)).keys()].filter((name) => name !== HASHES_FILE);
  return trackedOnly === true ? tracked : [...tracked, ...(await untrackedPaths(root))];
}

async function namesBelow(root: string, folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await readdir(path.join(root, folder), { withFileTypes: true })) {
    const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules') {
      names.push(...(await namesBelow(root, name)));
    } else if (!entry.isDirectory() && isWeightPath(name)) names.push(name);
  }
  return names;
}

/** The bytes of a file of the tree, or why it is not looked at. */
async function inspect(root: string, name: string): Promise<number | string> {
  const problem = name === HASHES_FILE ? undefined : pathProblem(name);
  if (problem !== undefined) return `its path ${problem}`;
  const file = path.join(root, name);
  try {
    const status = await lstat(file);
    if (status.isSymbolicLink()) return 'it is a symbolic link';
    if (!status.isFile()) return 'it is no regular file';
    const folder = path.dirname(file);
    return (await realpath(folder)) === folder ? status.size : 'it lies behind a symbolic link';
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      return 'missing';
    }
    throw error;
  }
}

interface FoundFile {
  readonly size: number;
  readonly lfs: string | undefined;
}

async function treeFile(root: string, name: string, { size, lfs }: FoundFile): Promise<TreeFile> {
  const file = path.join(root, name);
  const pointer = size > MAX_POINTER_BYTES ? undefined : await reading(await FileSource.open(file), pointerIn);
  const open = (): Promise<ByteSource | undefined> => {
    if (pointer === undefined) return FileSource.open(file);
    return lfs === undefined ? Promise.resolve(undefined) : openLfsObject(lfs, pointer.sha256, file);
  };
  return { path: name, ...(pointer && { pointer }), size: pointer?.size ?? size, isAsCommitted: false, open };
}

/** It may have grown since it was looked at. */
async function pointerIn(source: ByteSource): Promise<LfsPointer | undefined> {
  return source.size > MAX_POINTER_BYTES ? undefined : parseLfsPointer(await source.read(0, source.size));
}

async function reading<T>(source: ByteSource, read: (source: ByteSource) => Promise<T>): Promise<T> {
  try {
    return await read(source);
  } finally {
    await source.close();
  }
}
