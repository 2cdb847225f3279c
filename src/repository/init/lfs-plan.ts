import path from 'node:path';
import { git, gitOutput } from '../git.js';
import { type AffectedRefs, affectedRefs } from './affected-refs.js';
import { exemptPaths } from './committed-weights.js';
import { noRepository, repositoryOf } from './init.js';
import { type LfsStep, lfsSteps } from './lfs-commands.js';
import { type LfsObstacle, lfsObstacles } from './lfs-obstacles.js';
import { type WeightPath, weightHistory } from './weight-history.js';
import { WEIGHT_PATTERNS } from './weight-patterns.js';

/** Sizes of files in the history: every version of each, once where several paths share it. */
export interface HistorySize {
  readonly versions: number;
  /** As the files are. */
  readonly bytes: number;
  /** As git stores them. */
  readonly diskBytes: number;
}

/** What moving a repository's weights into git-lfs would change, and how it is done. */
export interface LfsPlan {
  readonly root: string;
  /** Only what occurs, the largest first. */
  readonly patterns: readonly (HistorySize & { readonly pattern: string; readonly files: number })[];
  readonly paths: readonly (HistorySize & { readonly path: string })[];
  readonly total: HistorySize;
  /** The pointers that git keeps in place of `total.bytes`. */
  readonly pointerBytes: number;
  /** What the repository's objects take now, and about what they take once the old history is gone. */
  readonly repositoryBytes: { readonly before: number; readonly after: number };
  /** Paths that a rule of the user's keeps in git; the migration leaves them out. */
  readonly exempt: readonly string[];
  readonly refs: AffectedRefs;
  readonly remotes: readonly { readonly name: string; readonly url: string }[];
  /** What has to be settled first. */
  readonly obstacles: readonly LfsObstacle[];
  /** Empty when there is nothing to migrate. */
  readonly steps: readonly LfsStep[];
}

/**
 * The plan to move the weights in a repository's history into git-lfs. Reads the repository, changes nothing, and asks no
 * remote. Throws `usage` for a folder that is in no repository.
 */
export async function planLfs(folder: string): Promise<LfsPlan> {
  const root = await repositoryOf(folder);
  if (root === undefined) throw noRepository(folder);
  const all = await weightHistory(root);
  const exempt = await exemptPaths(
    root,
    all.map(({ path: name }) => name),
  );
  const moving = all.filter(({ path: name }) => !exempt.has(name));
  const patterns = byPattern(moving);
  const total = sizeOf(moving);
  const pointerBytes = unique(moving).reduce((sum, blob) => sum + pointerLength(blob.bytes), 0);
  const before = await repositoryBytes(root);
  const remotes = await remotesOf(root);
  return {
    root,
    patterns,
    paths: moving.map((one) => ({ path: one.path, ...sizeOf([one]) })).toSorted((a, b) => b.bytes - a.bytes),
    total,
    pointerBytes,
    repositoryBytes: { before, after: Math.max(0, before - total.diskBytes) + pointerBytes },
    exempt: [...exempt],
    refs: moving.length === 0 ? { rewritten: [], remote: [], untouched: [] } : await affectedRefs(root),
    remotes,
    obstacles:
      moving.length === 0
        ? []
        : await lfsObstacles(root, { moving: moving.map((one) => one.path), exempt: [...exempt] }),
    steps: moving.length === 0 ? [] : lfsSteps(factsOf(root, patterns, [...exempt], remotes)),
  };
}

function factsOf(
  root: string,
  patterns: LfsPlan['patterns'],
  exempt: readonly string[],
  remotes: LfsPlan['remotes'],
): Parameters<typeof lfsSteps>[0] {
  return {
    name: path.basename(root),
    patterns: patterns.map(({ pattern }) => pattern),
    exempt: exempt.filter((name) => patterns.some(({ pattern }) => name.endsWith(pattern.slice(1)))),
    remotes: remotes.map(({ name }) => name),
  };
}

function byPattern(paths: readonly WeightPath[]): LfsPlan['patterns'] {
  return WEIGHT_PATTERNS.map((pattern) => ({
    pattern,
    members: paths.filter(({ path: name }) => name.endsWith(pattern.slice(1))),
  }))
    .filter(({ members }) => members.length > 0)
    .map(({ pattern, members }) => ({ pattern, files: members.length, ...sizeOf(members) }))
    .toSorted((a, b) => b.bytes - a.bytes);
}

function unique(paths: readonly WeightPath[]) {
  return [...new Map(paths.flatMap(({ versions }) => versions.map((blob) => [blob.oid, blob] as const))).values()];
}

function sizeOf(paths: readonly WeightPath[]): HistorySize {
  const blobs = unique(paths);
  return {
    versions: blobs.length,
    bytes: blobs.reduce((sum, blob) => sum + blob.bytes, 0),
    diskBytes: blobs.reduce((sum, blob) => sum + blob.diskBytes, 0),
  };
}

/** Of the pointer to a file of so many bytes. Source: git-lfs, docs/spec.md. */
function pointerLength(bytes: number): number {
  return `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize ${bytes}\n`.length;
}

/** git-count-objects(1): KiB of loose objects and of packs. */
async function repositoryBytes(root: string): Promise<number> {
  const counted = (await gitOutput(['count-objects', '-v'], { cwd: root })).toString('utf8');
  const kib = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(counted)?.[1] ?? 0);
  return (kib('size') + kib('size-pack')) * 1024;
}

/** An address may hold a password; it is not for a terminal or a log. */
async function remotesOf(root: string): Promise<{ name: string; url: string }[]> {
  const { stdout, code } = await git(['config', '-z', '--get-regexp', '^remote\\..*\\.url$'], { cwd: root });
  if (code !== 0) return [];
  return stdout
    .toString('utf8')
    .split('\0')
    .map((entry) => /^remote\.(.*)\.url\n(.*)$/s.exec(entry))
    .filter((match) => match !== null)
    .map(([, name = '', url = '']) => ({ name, url: url.replace(/\/\/[^/@]*@/, '//') }));
}
