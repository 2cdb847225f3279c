import { gitOutput } from '../git.js';
import { WEIGHT_PATHSPECS } from './blobs.js';

/** The refs whose history holds weights, by what `git lfs migrate import --everything` makes of them. */
export interface AffectedRefs {
  /** Branches, tags and others of this repository: they get new commits. */
  readonly rewritten: readonly string[];
  /** Remembered from remotes; they change when the new history is pushed and fetched. */
  readonly remote: readonly string[];
  /** Left out by git-lfs (the stash): they go on holding the old history. */
  readonly untouched: readonly string[];
}

/** Above this, command lines get too long; then every ref counts as affected. */
const MAX_COMMITS = 1000;

/** Which refs reach a commit that has changed weights. */
export async function affectedRefs(root: string): Promise<AffectedRefs> {
  const first = await firstCommits(root);
  const contains = first.length > MAX_COMMITS ? [] : first.map((commit) => `--contains=${commit}`);
  const listed =
    first.length === 0 ? '' : await gitOutput(['for-each-ref', '--format=%(refname)', ...contains], { cwd: root });
  const refs = listed.toString('utf8').split('\n').filter(Boolean);
  const isRemote = (ref: string): boolean => ref.startsWith('refs/remotes/');
  const isSpecial = (ref: string): boolean => /^refs\/(?:stash$|bisect\/|replace\/)/.test(ref);
  return {
    rewritten: refs.filter((ref) => !isRemote(ref) && !isSpecial(ref)),
    remote: refs.filter(isRemote),
    untouched: refs.filter(isSpecial),
  };
}

/**
 * The commits that changed weights and have no ancestor that did: with parents rewritten to those that changed them too
 * (git-log(1), "History Simplification"), the ones without a parent.
 */
async function firstCommits(root: string): Promise<string[]> {
  const args = ['rev-list', '--all', '--full-history', '--parents', '--', ...WEIGHT_PATHSPECS];
  const listed = (await gitOutput(args, { cwd: root })).toString('latin1');
  return listed.split('\n').filter((line) => /^[0-9a-f]+$/.test(line));
}
