import { git, gitOutput } from '../git.js';
import { lfsSetup } from './lfs-setup.js';

/** Something that stands in a migration's way, and what to do about it. */
export interface LfsObstacle {
  readonly what: string;
  /** One line. */
  readonly fix: string;
}

/** The paths of a repository's weights: those that move to git-lfs, and those that stay. */
export interface WeightNames {
  readonly moving: readonly string[];
  readonly exempt: readonly string[];
}

interface Question {
  readonly isObstacle: (root: string, names: WeightNames) => Promise<boolean>;
  readonly obstacle: LfsObstacle;
}

const QUESTIONS: readonly Question[] = [
  {
    isObstacle: async (root) => (await lfsSetup(root)).version === undefined,
    obstacle: { what: 'git-lfs is not installed', fix: 'Install it: https://git-lfs.com' },
  },
  {
    isObstacle: async (root) => (await said(root, 'status', '--porcelain')) !== '',
    obstacle: {
      what: 'the working tree has changes or untracked files, at which git lfs migrate stops',
      fix: 'Commit them, or move them away.',
    },
  },
  {
    isObstacle: async (root) => (await said(root, 'rev-parse', '--is-shallow-repository')) === 'true',
    obstacle: { what: 'this clone is shallow: it has a part of the history', fix: 'git fetch --unshallow' },
  },
  {
    isObstacle: async (root) =>
      (await git(['config', '--get-regexp', '^remote\\..*\\.promisor$'], { cwd: root })).code === 0,
    obstacle: { what: 'this clone is partial: it lacks files of its history', fix: 'Clone anew without --filter.' },
  },
  {
    isObstacle: async (root) => (await said(root, 'stash', 'list')) !== '',
    obstacle: {
      what: 'there are stashes, which keep their old history and its weights',
      fix: 'git stash pop, and commit.',
    },
  },
  {
    isObstacle: async (root) => (await said(root, 'worktree', 'list', '--porcelain')).split('\n\n').length > 1,
    obstacle: {
      what: 'other work trees are checked out from this repository',
      fix: 'git worktree remove each of them.',
    },
  },
  {
    isObstacle: async (_root, { exempt }) => exempt.some((name) => /[,*?[\]\\]/.test(name)),
    obstacle: {
      what: 'a file that stays in git has a comma or a wildcard in its name, which --exclude cannot name',
      fix: 'Rename that file first.',
    },
  },
  {
    isObstacle: async (_root, { moving }) => moving.some((name) => name.includes('\n')),
    obstacle: {
      what: 'a file of weights has a line break in its name, which git lfs checkout cannot take (git-lfs 3.3)',
      fix: 'Rename that file first.',
    },
  },
];

/** What has to be settled before a repository's history can be moved into git-lfs. */
export async function lfsObstacles(root: string, names: WeightNames): Promise<LfsObstacle[]> {
  const found: LfsObstacle[] = [];
  for (const { isObstacle, obstacle } of QUESTIONS) if (await isObstacle(root, names)) found.push(obstacle);
  return found;
}

async function said(root: string, ...args: string[]): Promise<string> {
  return (await gitOutput(args, { cwd: root })).toString('utf8').trim();
}
