import { existsSync } from 'node:fs';
import { chmod, stat } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder, shellWord, writeFileDurably, writing } from '../../checkpoint/index.js';
import { BirdboneError, stopIfAborted } from '../../errors.js';
import { git, gitOutput, gitRoot, withoutNewline } from '../git.js';
import type { Conflict } from './change.js';
import { type CommittedWeights, committedWeights } from './committed-weights.js';
import { ignoreConflicts } from './ignored.js';
import { lfsSetup } from './lfs-setup.js';
import { type FileChange, type PlannedChange, planFiles } from './plan.js';

export interface InitOptions {
  /** Make a git repository where there is none. */
  readonly git?: boolean;
  readonly dryRun?: boolean;
  /** What npm installs birdbone from in CI: a name with a version, or a git address with a commit. */
  readonly spec: string;
  readonly signal?: AbortSignal;
}

/** What `init` did to a repository, or with dryRun would do. */
export interface InitResult {
  /** The top of the repository. */
  readonly root: string;
  /** False after a dry run. */
  readonly written: boolean;
  /** Whether the repository was there before. */
  readonly repository: 'found' | 'created';
  readonly changes: readonly FileChange[];
  readonly kept: readonly string[];
  readonly conflicts: readonly Conflict[];
  /** Weights whose bytes are in git's index, which the new rules do not reach by themselves. */
  readonly committed: readonly CommittedWeights[];
  /** What is left for the user to do: commands, or one line each. */
  readonly next: readonly string[];
}

/**
 * Makes a git repository safe for weights: git-lfs rules, ignored names, a hook, a CI workflow, and folders with a page each.
 * Adds what is missing and changes no line that is there, so a second time changes nothing. Throws `usage` for a folder that
 * is in no repository (unless `git` is set), `unwritable` for one that cannot be written.
 */
export async function initRepository(folder: string, options: InitOptions): Promise<InitResult> {
  const { dryRun = false, spec, signal } = options;
  const found = await repositoryOf(folder);
  if (found === undefined && options.git !== true) throw noRepository(folder);
  const root = found ?? path.resolve(folder);
  const { changes, kept, conflicts } = await planFiles(root, spec);
  if (!dryRun) {
    if (found === undefined) await gitOutput(['init', '--quiet'], { cwd: root });
    for (const change of changes) {
      stopIfAborted(signal);
      await apply(root, change);
    }
  }
  // A dry run in a folder without a repository has nothing to ask git about.
  const isRepository = found !== undefined || !dryRun;
  const ignored = isRepository ? await ignoreConflicts(root) : [];
  const committed = isRepository ? await committedWeights(root) : [];
  return {
    root,
    written: !dryRun,
    repository: found === undefined ? 'created' : 'found',
    changes: changes.map(({ text: _text, ...change }) => change),
    kept,
    conflicts: [...conflicts, ...ignored],
    committed,
    next: await nextSteps(root, changes, committed),
  };
}

/**
 * The top of the repository that a folder is in; undefined when it is in none. Throws `usage` for what is no folder, and for
 * git's own folder or a bare repository, where there are no files to set up.
 */
export async function repositoryOf(folder: string): Promise<string | undefined> {
  const status = await stat(folder).catch(() => undefined);
  if (status?.isDirectory() !== true) {
    const suggestions = [
      status === undefined ? `mkdir ${shellWord(folder)}` : `birdbone init ${shellWord(path.dirname(folder))}`,
    ];
    throw new BirdboneError('usage', `${folder} is not a folder.`, { file: folder, suggestions });
  }
  const root = await gitRoot(folder);
  if (root !== undefined) return root;
  const inside = await git(['rev-parse', '--is-bare-repository', '--is-inside-git-dir'], { cwd: folder });
  if (inside.code !== 0 || !inside.stdout.includes('true')) return undefined;
  throw new BirdboneError('usage', `${folder} is a bare repository, or git's own folder: it has no files to set up.`, {
    file: folder,
    suggestions: ['Name the folder with the files; of a bare repository, clone it first.'],
  });
}

export function noRepository(folder: string): BirdboneError {
  return new BirdboneError('usage', `${folder} is not in the work tree of a git repository.`, {
    file: folder,
    suggestions: ['birdbone init --git, which makes one', 'git init, then the same command again'],
  });
}

async function apply(root: string, { path: name, text }: PlannedChange): Promise<void> {
  const file = path.join(root, name);
  await makeFolder(path.dirname(file));
  const before = await stat(file).catch(() => undefined);
  await writeFileDurably(file, Buffer.from(text, 'latin1'));
  if (before !== undefined) await writing(file, () => chmod(file, before.mode));
}

async function nextSteps(
  root: string,
  changes: readonly FileChange[],
  committed: readonly CommittedWeights[],
): Promise<string[]> {
  const { version, filters } = await lfsSetup(root);
  const hook = await git(['rev-parse', '--git-path', 'hooks/pre-commit'], { cwd: root });
  const hasHook = hook.code === 0 && existsSync(path.resolve(root, withoutNewline(hook.stdout)));
  return [
    ...(version === undefined
      ? ['Install git-lfs (https://git-lfs.com): no weights can be committed without it.']
      : []),
    ...(filters ? [] : ['git lfs install']),
    ...(committed.some(({ exempt }) => !exempt) ? ['birdbone init --plan-lfs'] : []),
    ...(hasHook ? [] : ['pre-commit install, or birdbone hooks install where there is no pre-commit']),
    ...(changes.length === 0 ? [] : [`git add ${changes.map(({ path: name }) => shellWord(name)).join(' ')}`]),
  ];
}
