import path from 'node:path';
import { writeFileDurably } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { type Report, silent } from '../events.js';
import { readAhead } from '../threads/index.js';
import { skippedNotices } from './check.js';
import { type HashFileOptions, hashFile } from './hash-file.js';
import { isWithin, refuseEmpty, type Scope } from './scope.js';
import type { TreeFile } from './tree.js';
import { type FileHashes, HASHES_FILE, OPAQUE, type WeightHashesByPath, weightHashesText } from './weight-hashes.js';
import { openWorkingTree, readWeightHashes } from './working-tree.js';

export interface UpdateOptions {
  readonly report?: Report;
  readonly signal?: AbortSignal;
  /** Leave out what git does not track. */
  readonly trackedOnly?: boolean;
  /** Say what would be recorded, and write nothing. */
  readonly dryRun?: boolean;
}

/** What happened to .weight_hashes.json, or would. */
export interface UpdateReport {
  readonly file: string;
  readonly manifest: 'created' | 'updated' | 'unchanged';
  /** Files that it names now, and those in the scope that were read for it. */
  readonly files: number;
  readonly hashed: number;
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** Files that are recorded by the hash of their bytes alone, or not at all, and why: one sentence each. */
  readonly notices: readonly string[];
}

/**
 * Makes .weight_hashes.json say what the weights of a scope are now: each is read whole, whatever its time and size say. What
 * lies outside of the scope, or of a sparse checkout, stays as it was. Written whole or not at all; of several at once the last one's holds.
 * Throws `usage` for a path in which there are no weights, `unreadable` for a .weight_hashes.json that a part cannot go into.
 */
export async function updateWeightHashes(scope: Scope, options: UpdateOptions = {}): Promise<UpdateReport> {
  const { isGit, root } = scope;
  const { trackedOnly = false, dryRun = false } = options;
  const tree = await openWorkingTree(root, { isGit, trackedOnly });
  try {
    const notices: string[] = [];
    const before = await hashesBefore(scope, notices);
    refuseEmpty(scope, [...tree.files.keys(), ...tree.refused.keys(), ...(before?.keys() ?? [])]);
    const files = [...tree.files.values()].filter((file) => isWithin(scope, file.path));
    const found = await hashAll(files, { ...options, before: before ?? new Map(), notices });
    for (const [name, why] of tree.refused) if (isWithin(scope, name)) notices.push(`${name} is left out: ${why}.`);
    // Read again: another update, of other files, may have ended meanwhile.
    const latest = await hashesBefore(scope, []);
    notices.push(...skippedNotices(tree, scope));
    const isLeft = (name: string) => !isWithin(scope, name) || (tree.skipped.has(name) && !tree.files.has(name));
    const kept = [...(latest?.values() ?? [])].filter((entry) => isLeft(entry.path));
    const after = new Map([...kept, ...found].map((entry) => [entry.path, entry]));
    const manifest = await write(path.join(root, HASHES_FILE), { before: latest, after, dryRun });
    return {
      file: HASHES_FILE,
      manifest,
      files: after.size,
      hashed: found.length,
      ...changes(latest ?? new Map(), after),
      notices,
    };
  } finally {
    await tree.close();
  }
}

/** A broken file is no obstacle to writing the whole of it anew: that is how one is repaired. */
async function hashesBefore(scope: Scope, notices: string[]): Promise<WeightHashesByPath | undefined> {
  try {
    return await readWeightHashes(scope.root);
  } catch (error) {
    if (!(error instanceof BirdboneError) || error.code !== 'unreadable' || scope.paths.length > 0) throw error;
    notices.push(`What it held is replaced: ${error.message}`);
    return undefined;
  }
}

interface HashAllOptions extends UpdateOptions {
  readonly before: WeightHashesByPath;
  readonly notices: string[];
}

async function hashAll(files: readonly TreeFile[], options: HashAllOptions): Promise<FileHashes[]> {
  const { report = silent, signal, before, notices } = options;
  const found: FileHashes[] = [];
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  const onBytes = (bytes: number): void => {
    done += bytes;
    report({ type: 'progress', stage: 'hash', done, total, unit: 'bytes' });
  };
  // While one is hashed, the next are opened and read: that is what small files take their time with.
  const hashing = files.map((file) => () => hashOne(file, { before: before.get(file.path), signal, onBytes }));
  for await (const { hashes, notice } of readAhead(hashing)) {
    found.push(hashes);
    if (notice !== undefined) notices.push(`${hashes.path} has no tensor hashes: ${notice}`);
  }
  return found;
}

interface HashOneOptions extends HashFileOptions {
  readonly before: FileHashes | undefined;
}

async function hashOne(file: TreeFile, { before, ...options }: HashOneOptions) {
  const source = await file.open();
  if (source === undefined) return absent(file, before);
  try {
    const { hashes, opaqueBecause: notice } = await hashFile(file.path, source, options);
    return { hashes, notice };
  } finally {
    await source.close();
  }
}

/** What can be said of a git-lfs pointer whose content is not here. */
function absent({ path, pointer }: TreeFile, before: FileHashes | undefined) {
  const { sha256, size } = pointer!;
  if (before?.sha256 === sha256 && before.size === size) return { hashes: before, notice: undefined };
  const notice = 'it is a git-lfs pointer, and "git lfs pull" has not fetched its content.';
  return { hashes: { path, format: OPAQUE, size, sha256 }, notice };
}

interface Writing {
  readonly before: WeightHashesByPath | undefined;
  readonly after: WeightHashesByPath;
  readonly dryRun: boolean;
}

async function write(file: string, { before, after, dryRun }: Writing): Promise<UpdateReport['manifest']> {
  const text = weightHashesText(after);
  if (before !== undefined && weightHashesText(before) === text) return 'unchanged';
  if (!dryRun) await writeFileDurably(file, text);
  return before === undefined ? 'created' : 'updated';
}

function changes(before: WeightHashesByPath, after: WeightHashesByPath) {
  const text = (entry: FileHashes) => JSON.stringify(entry);
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  const has = (hashes: WeightHashesByPath) => (name: string) => hashes.has(name);
  return {
    added: names.filter((name) => !has(before)(name)),
    removed: names.filter((name) => !has(after)(name)),
    changed: names.filter((name) => {
      const [old, now] = [before.get(name), after.get(name)];
      return old !== undefined && now !== undefined && text(old) !== text(now);
    }),
  };
}
