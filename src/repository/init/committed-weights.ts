import { gitOutput } from '../git.js';
import { blobsWithContent, WEIGHT_PATHSPECS } from './blobs.js';

/** A file of weights whose bytes are in git itself. */
export interface CommittedWeights {
  /** Relative to the top of the repository. */
  readonly path: string;
  readonly bytes: number;
  /** A rule of the user's (`-filter`, another filter) says that this is meant. */
  readonly exempt: boolean;
}

/** A regular file of the index: no link, no submodule. */
const INDEX_ENTRY = /^100(?:644|755) ([0-9a-f]+) \d\t(.*)$/s;

/** The files of git's index that have an ending of weights and are no git-lfs pointers, the largest first. */
export async function committedWeights(root: string): Promise<CommittedWeights[]> {
  const listed = await gitOutput(['ls-files', '-s', '-z', '--', ...WEIGHT_PATHSPECS], { cwd: root });
  const entries = listed
    .toString('utf8')
    .split('\0')
    .map((entry) => INDEX_ENTRY.exec(entry))
    .filter((match) => match !== null)
    .map(([, oid = '', path = '']) => ({ oid, path }));
  const blobs = await blobsWithContent(
    root,
    entries.map(({ oid }) => oid),
  );
  const inGit = entries.filter(({ oid }) => blobs.has(oid));
  const exempt = await exemptPaths(
    root,
    inGit.map(({ path }) => path),
  );
  return inGit
    .map(({ oid, path }) => ({ path, bytes: blobs.get(oid)?.bytes ?? 0, exempt: exempt.has(path) }))
    .toSorted((a, b) => b.bytes - a.bytes || (a.path < b.path ? -1 : 1));
}

/**
 * Those of the paths that a rule keeps out of git-lfs, by all attribute files that git reads: of the repository, of its
 * folders, of the user.
 */
export async function exemptPaths(root: string, paths: readonly string[]): Promise<Set<string>> {
  const input = paths.map((path) => `${path}\0`).join('');
  const output = await gitOutput(['check-attr', '-z', '--stdin', 'filter'], { cwd: root, input });
  const states = output
    .toString('utf8')
    .split('\0')
    .filter((_, index) => index % 3 === 2);
  return new Set(paths.filter((_, index) => !['lfs', 'unspecified'].includes(states[index] ?? 'unspecified')));
}
