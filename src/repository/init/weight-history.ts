import { gitOutput } from '../git.js';
import { type Blob, blobsWithContent, WEIGHT_PATHSPECS } from './blobs.js';

/** A file of weights in the history, with each content that it has had. */
export interface WeightPath {
  /** Relative to the top of the repository. */
  readonly path: string;
  readonly versions: readonly Blob[];
}

/** Also a merge's content, which may be in none of its parents; and a file that a merge left out. */
const EVERY_CHANGE = ['--full-history', '-m', '--root', '--no-renames', '--no-abbrev', '--raw', '-z', '--format='];

/** One change of a regular file: modes, object names, what happened; its path follows. */
const CHANGE = /^:\d+ 100(?:644|755) [0-9a-f]+ ([0-9a-f]+) [A-Z]/;

/**
 * Every path with an ending of weights in the history of all refs, with the contents that are in git itself: pointers of
 * git-lfs, empty files and links are none. In order of paths.
 */
export async function weightHistory(root: string): Promise<WeightPath[]> {
  const log = ['-c', 'log.diffMerges=separate', 'log', '--all', ...EVERY_CHANGE, '--', ...WEIGHT_PATHSPECS];
  const fields = (await gitOutput(log, { cwd: root })).toString('utf8').split('\0');
  const byPath = new Map<string, Set<string>>();
  for (const [index, field] of fields.entries()) {
    const oid = CHANGE.exec(field)?.[1];
    const path = fields[index + 1];
    if (oid === undefined || path === undefined) continue;
    byPath.set(path, (byPath.get(path) ?? new Set()).add(oid));
  }
  const blobs = await blobsWithContent(
    root,
    [...byPath.values()].flatMap((oids) => [...oids]),
  );
  return [...byPath]
    .map(([path, oids]) => ({ path, versions: [...oids].flatMap((oid) => blobs.get(oid) ?? []) }))
    .filter(({ versions }) => versions.length > 0)
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
}
