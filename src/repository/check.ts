import { BirdboneError } from '../errors.js';
import { type Report, silent } from '../events.js';
import { readAhead } from '../threads/index.js';
import { compareFile, type FileFinding, identityOf } from './compare-file.js';
import { checkDvcPointers, type DvcFinding } from './dvc.js';
import { dvcFiles } from './dvc-files.js';
import { hashFile } from './hash-file.js';
import { withHowFar } from './how-far.js';
import { isWithin, refuseEmpty, type Scope } from './scope.js';
import { openStagedTree } from './staged-tree.js';
import type { Tree, TreeFile } from './tree.js';
import { type FileHashes, HASHES_FILE, type WeightHashesByPath, weightHashesText } from './weight-hashes.js';
import { openWorkingTree } from './working-tree.js';

export interface CheckOptions {
  readonly report?: Report;
  readonly signal?: AbortSignal;
  /** Check what the next commit would have instead of what lies in the folder. */
  readonly staged?: boolean;
}

/** How the weights differ from .weight_hashes.json. */
export interface CheckReport {
  readonly tree: Tree['name'];
  /** True when nothing at all differs. */
  readonly matches: boolean;
  /** Differing files only, in the order of their paths. */
  readonly findings: readonly FileFinding[];
  /** What .dvc files track, also where it matches; of the next commit, what it changes of them. */
  readonly dvc: readonly DvcFinding[];
  /** Files in the scope, and how many of them were read; a git-lfs pointer is compared without. */
  readonly files: number;
  readonly read: number;
  /** Files that are not looked at, and why: one sentence each. */
  readonly notices: readonly string[];
}

/**
 * Compares the weights with .weight_hashes.json. In the folder every file is read whole; in git's index those that differ from
 * the last commit, or whose record does, and every git-lfs pointer is compared by its oid and size. Differences are in the
 * report, not thrown. Throws `unreadable` for a .weight_hashes.json that is broken, `usage` for `staged` without git.
 */
export async function checkWeightHashes(scope: Scope, options: CheckOptions = {}): Promise<CheckReport> {
  const tree = await openTree(scope, options.staged ?? false);
  try {
    const recorded = (await tree.hashes()) ?? new Map<string, FileHashes>();
    const pointers = scope.isGit ? await dvcFiles(scope.root) : [];
    const tracked = pointers.flatMap((name) => [name, name.replace(/\.dvc$/, '')]);
    refuseEmpty(scope, [...tree.files.keys(), ...tree.refused.keys(), ...recorded.keys(), ...tracked]);
    const committed = await committedOrNone(tree);
    const names = [...new Set([...recorded.keys(), ...tree.files.keys()])]
      .filter((name) => isWithin(scope, name) && (tree.files.has(name) || !tree.skipped.has(name)))
      .sort();
    const comparison = { tree, recorded, committed, options, progress: { read: 0, done: 0, total: 0 } };
    comparison.progress.total = names.reduce((sum, name) => sum + (tree.files.get(name)?.size ?? 0), 0);
    const findings: FileFinding[] = [];
    const checks = names.map((name) => () => checkPath(name, comparison));
    for await (const found of readAhead(checks)) findings.push(...found);
    const dvc = pointers.length === 0 ? [] : await checkDvcPointers(scope.root, { ...options, paths: scope.paths });
    const refused = [...tree.refused].filter(([name]) => isWithin(scope, name) && !recorded.has(name));
    return {
      tree: tree.name,
      matches: findings.length === 0 && !dvc.some(({ status }) => status === 'differs' || status === 'unreadable'),
      findings,
      dvc,
      files: names.length,
      read: comparison.progress.read,
      notices: [...refused.map(([name, why]) => `${name} is left out: ${why}.`), ...skippedNotices(tree, scope)],
    };
  } finally {
    await tree.close();
  }
}

/** What a sparse checkout leaves out, in one sentence. */
export function skippedNotices({ skipped, files }: Tree, scope: Scope): string[] {
  const left = [...skipped].filter((name) => isWithin(scope, name) && !files.has(name));
  if (left.length === 0) return [];
  return [`${left.length} tracked files (${left[0]} …) are not in this sparse checkout, and not looked at.`];
}

async function openTree(scope: Scope, staged: boolean): Promise<Tree> {
  if (!staged) return openWorkingTree(scope.root, { isGit: scope.isGit });
  if (scope.isGit) return openStagedTree(scope.root);
  throw new BirdboneError('usage', `${scope.root} is in no git repository, so nothing is staged.`, {
    suggestions: ['birdbone hash --check'],
  });
}

/** A broken file in the last commit says nothing of what was checked then, so that all is read. */
async function committedOrNone(tree: Tree): Promise<WeightHashesByPath> {
  try {
    return (await tree.committedHashes()) ?? new Map();
  } catch (error) {
    if (error instanceof BirdboneError && error.code === 'unreadable') return new Map();
    throw error;
  }
}

interface Comparison {
  readonly tree: Tree;
  readonly recorded: WeightHashesByPath;
  readonly committed: WeightHashesByPath;
  readonly options: CheckOptions;
  readonly progress: { read: number; done: number; readonly total: number };
}

async function checkPath(path: string, comparison: Comparison): Promise<FileFinding[]> {
  const { tree, recorded, committed } = comparison;
  const entry = recorded.get(path);
  const file = tree.files.get(path);
  if (entry === undefined) return [{ path, finding: 'unrecorded' }];
  if (file === undefined) {
    const why = tree.refused.get(path);
    const known = { path, recorded: identityOf(entry) };
    return [why === undefined ? { ...known, finding: 'missing' } : { ...known, finding: 'refused', unknown: why }];
  }
  if (file.pointer !== undefined && file.pointer.sha256 === entry.sha256 && file.pointer.size === entry.size) return [];
  if (file.pointer === undefined && file.isAsCommitted && isSame(entry, committed.get(path))) return [];
  const finding = await readAndCompare(entry, file, comparison);
  return finding === undefined ? [] : [finding];
}

async function readAndCompare(entry: FileHashes, file: TreeFile, comparison: Comparison) {
  const { tree, options, progress } = comparison;
  const { report = silent, signal } = options;
  const source = await file.open();
  if (source === undefined) return notHere(entry, file, ELSEWHERE);
  progress.read += 1;
  let found: FileHashes;
  try {
    const onBytes = (bytes: number): void => {
      progress.done += bytes;
      report({ type: 'progress', stage: 'check', done: progress.done, total: progress.total, unit: 'bytes' });
    };
    found = (await hashFile(file.path, source, { signal, onBytes })).hashes;
  } finally {
    await source.close();
  }
  const { pointer } = file;
  if (pointer !== undefined && found.sha256 !== pointer.sha256) return notHere(entry, file, DAMAGED);
  const finding = compareFile(entry, found);
  return finding && withHowFar(finding, { tree, file }, { signal });
}

const ELSEWHERE = 'its content is not in this clone, so its tensors are not known';
const DAMAGED = "git-lfs's copy of its content is damaged, so its tensors are not known";

/** A pointer to other content than recorded, or a blob that a partial clone has not. */
function notHere(entry: FileHashes, { path, pointer }: TreeFile, unknown: string): FileFinding {
  return {
    path,
    finding: 'changed',
    recorded: identityOf(entry),
    ...(pointer && { found: identityOf(pointer) }),
    unknown,
  };
}

function isSame(left: FileHashes, right: FileHashes | undefined): boolean {
  if (right === undefined || left === right) return left === right;
  const text = (entry: FileHashes) => weightHashesText(new Map([[HASHES_FILE, entry]]));
  return text(left) === text(right);
}
