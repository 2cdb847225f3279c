import { shellWord } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { gitOutput } from './git.js';
import { HASHES_FILE } from './weight-hashes.js';
import { isWeightPath, WEIGHT_PATHSPECS } from './weight-path.js';

/** An entry of git's index. */
export interface IndexEntry {
  readonly path: string;
  readonly mode: string;
  readonly oid: string;
}

const PATHSPECS = [...WEIGHT_PATHSPECS, `:(top,literal)${HASHES_FILE}`];

/** The weights in git's index, and .weight_hashes.json, by path. Throws `unreadable` while a merge is not settled. */
export async function indexEntries(root: string): Promise<Map<string, IndexEntry>> {
  const listed = await gitOutput(['ls-files', '--stage', '-z', '--', ...PATHSPECS], { cwd: root });
  const entries = new Map<string, IndexEntry>();
  for (const [head, name] of recordsOf(listed)) {
    const [mode = '', oid = '', stage] = head.split(' ');
    const path = pathOf(name);
    if (stage !== '0') throw unmerged(root, path);
    if (isOurs(path)) entries.set(path, { path, mode, oid });
  }
  return entries;
}

/** Weights that git tracks and leaves out of the folder (git-sparse-checkout(1)). */
export async function skippedPaths(root: string): Promise<string[]> {
  const listed = await gitOutput(['ls-files', '-t', '-z', '--', ...WEIGHT_PATHSPECS], { cwd: root });
  // A tag and a space before each path: "S" for skip-worktree.
  const skipped = fieldsOf(listed).filter((field) => field.toString('latin1', 0, 2) === 'S ');
  return skipped.map((field) => pathOf(field.subarray(2))).filter(isWeightPath);
}

/** Untracked weights that git does not ignore. */
export async function untrackedPaths(root: string): Promise<string[]> {
  const args = ['ls-files', '--others', '--exclude-standard', '-z', '--', ...WEIGHT_PATHSPECS];
  const listed = await gitOutput(args, { cwd: root });
  return fieldsOf(listed).map(pathOf).filter(isWeightPath);
}

/** What differs between the last commit (an empty one, before the first) and the index: the commit's blob by path. */
export async function stagedChanges(root: string, head: string): Promise<Map<string, { readonly committed: string }>> {
  const args = ['diff-index', '--cached', '--raw', '-z', '--no-abbrev', '--no-renames', head, '--', ...PATHSPECS];
  const fields = fieldsOf(await gitOutput(args, { cwd: root }));
  const changes = new Map<string, { readonly committed: string }>();
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [, , committed = ''] = fields[i]!.toString('latin1').split(' ');
    changes.set(pathOf(fields[i + 1]!), { committed });
  }
  return changes;
}

function isOurs(path: string): boolean {
  return path === HASHES_FILE || isWeightPath(path);
}

/** Records of `head TAB path NUL`; a path may have a TAB itself. */
function recordsOf(output: Buffer): [head: string, path: Buffer][] {
  return fieldsOf(output).map((field) => {
    const tab = field.indexOf(0x09);
    return [field.toString('latin1', 0, tab), field.subarray(tab + 1)];
  });
}

function fieldsOf(output: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  for (let start = 0, end = output.indexOf(0); end >= 0; start = end + 1, end = output.indexOf(0, start)) {
    fields.push(output.subarray(start, end));
  }
  return fields;
}

/** Throws `unsupported` for a name that is not UTF-8: JSON cannot hold it, and another system would write it otherwise. */
function pathOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    const shown = JSON.stringify(bytes.toString('latin1'));
    throw new BirdboneError('unsupported', `The file name ${shown} is not UTF-8, so it cannot be recorded.`, {
      cause,
      suggestions: ['Rename the file.'],
    });
  }
}

function unmerged(root: string, path: string): BirdboneError {
  const suggestions =
    path === HASHES_FILE
      ? ['Settle which weights are right, then: birdbone hash --update && git add .weight_hashes.json']
      : [`Choose one: git checkout --ours -- ${shellWord(path)}, or --theirs; then git add ${shellWord(path)}`];
  return new BirdboneError('unreadable', `${path} has a merge conflict that is not settled.`, {
    file: root,
    suggestions,
  });
}
