import { BirdboneError } from '../../errors.js';
import { mergeAttributes } from './attributes.js';
import type { Conflict, Merged } from './change.js';
import { existingFile } from './existing-file.js';
import { FOLDER_READMES } from './folder-readmes.js';
import { mergeIgnore } from './ignore.js';
import { unifiedDiff } from './unified-diff.js';
import { WORKFLOW_FILE, workflow } from './workflow.js';

/** A file that `init` makes, or adds lines to. */
export interface FileChange {
  /** Relative to the top of the repository. */
  readonly path: string;
  readonly action: 'create' | 'add';
  /** Lines that come in; none go. */
  readonly addedLines: number;
  /** As `git apply` takes it. */
  readonly diff: string;
}

/** A change with the text that the file gets, one character a byte. */
export interface PlannedChange extends FileChange {
  readonly text: string;
}

/** What there is to do to a repository's files. */
export interface FilePlan {
  readonly changes: readonly PlannedChange[];
  /** Files that are as they should be, or the user's own. */
  readonly kept: readonly string[];
  readonly conflicts: readonly Conflict[];
}

type Merge = (text: string) => Promise<Merged>;

/** What a repository's files lack, given what npm installs birdbone from in CI. Reads only. */
export async function planFiles(root: string, spec: string): Promise<FilePlan> {
  const { mergePreCommitConfig } = await import('./pre-commit-config.js');
  const merges: Readonly<Record<string, Merge>> = {
    '.gitattributes': async (text) => mergeAttributes(text),
    '.gitignore': async (text) => ({ text: mergeIgnore(text), conflicts: [] }),
    '.pre-commit-config.yaml': mergePreCommitConfig,
    ...Object.fromEntries(Object.entries(FOLDER_READMES).map(([name, text]) => [name, onlyWhereMissing(text)])),
    [WORKFLOW_FILE]: onlyWhereMissing(workflow(spec)),
  };
  const changes: PlannedChange[] = [];
  const kept: string[] = [];
  const conflicts: Conflict[] = [];
  for (const [name, merge] of Object.entries(merges)) {
    const found = await planFile(root, name, merge);
    conflicts.push(...found.conflicts);
    if (found.change !== undefined) changes.push(found.change);
    else kept.push(name);
  }
  return { changes, kept, conflicts };
}

/** A page that is there is the user's: nothing is added to it. */
function onlyWhereMissing(page: string): Merge {
  return async (text) => ({ text: text === '' ? page : text, conflicts: [] });
}

async function planFile(
  root: string,
  name: string,
  merge: Merge,
): Promise<{ readonly change?: PlannedChange; readonly conflicts: readonly Conflict[] }> {
  try {
    const before = await existingFile(root, name);
    const { text, conflicts } = await merge(before ?? '');
    if (text === (before ?? '')) return { conflicts };
    return { conflicts, change: changeOf(name, before, text) };
  } catch (error) {
    if (!(error instanceof BirdboneError) || error.code !== 'unsupported') throw error;
    return { conflicts: [{ file: name, what: error.message, fix: error.suggestions[0] ?? '' }] };
  }
}

function changeOf(path: string, before: string | undefined, text: string): PlannedChange {
  const diff = unifiedDiff(path, before, text);
  const addedLines = text.split('\n').length - (before ?? '').split('\n').length;
  return { path, action: before === undefined ? 'create' : 'add', addedLines, diff: asUtf8(diff), text };
}

function asUtf8(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8');
}
