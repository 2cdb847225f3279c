import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { claimOf, FileSource, formats, SIGNATURE_BYTES, unreadable, unreadableBecause } from '../checkpoint/index.js';

/** How a file is looked at. */
export type ScanKind = 'weights' | 'config' | 'template' | 'program';

export interface ScanTarget {
  readonly file: string;
  readonly kind: ScanKind;
}

/** Of one folder, and the folders in it; a model has some tens. */
const MAX_FILES = 10_000;
const MAX_DEPTH = 16;

const KINDS: readonly (readonly [RegExp, ScanKind])[] = [
  [/\.index\.json$/, 'weights'],
  [/(?:config|chat_template|model_index)\w*\.json$/, 'config'],
  [/\.(?:jinja|jinja2|j2)$/, 'template'],
  [/\.(?:py|pyc|ipynb|sh|bat|ps1|so|dll|dylib|exe)$/, 'program'],
];

/**
 * The files to look at: the one at the path, whatever it is, or all of a folder's that something is known to look for in, in
 * name order. Links to files count as files, links to folders are not followed. Throws `unreadable`.
 */
export async function filesAt(at: string): Promise<ScanTarget[]> {
  try {
    const status = await stat(at);
    return status.isDirectory() ? await filesIn(at) : [{ file: at, kind: kindByName(at) ?? 'weights' }];
  } catch (error) {
    throw unreadableBecause(at, error);
  }
}

async function filesIn(top: string): Promise<ScanTarget[]> {
  const found: ScanTarget[] = [];
  const folders = [{ folder: top, depth: 0 }];
  let seen = 0;
  // The array grows while it is walked; `seen` bounds it.
  for (const { folder, depth } of folders) {
    for (const entry of await entriesOf(folder)) {
      seen += 1;
      if (seen > MAX_FILES) throw unreadable(top, `it has more than ${MAX_FILES} files and folders`);
      const file = path.join(folder, entry.name);
      if (entry.isDirectory() && entry.name !== '.git' && depth < MAX_DEPTH)
        folders.push({ folder: file, depth: depth + 1 });
      const kind = (await isFile(entry, file)) ? (kindByName(file) ?? (await kindByBytes(file))) : undefined;
      if (kind !== undefined) found.push({ file, kind });
    }
  }
  return found;
}

/** Hugging Face's cache is made of links to files. */
async function isFile(entry: Dirent, file: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isFile();
  const end = await stat(file).catch(() => undefined);
  return end?.isFile() === true;
}

function kindByName(file: string): ScanKind | undefined {
  return KINDS.find(([pattern]) => pattern.test(file))?.[1];
}

/** Weights under any name, and whatever else starts like a pickle or an archive. */
async function kindByBytes(file: string): Promise<ScanKind | undefined> {
  const source = await FileSource.open(file);
  try {
    const head = await source.read(0, Math.min(SIGNATURE_BYTES, source.size));
    const claim = claimOf(head);
    const isWeights = formats.some((format) => format.recognises(head.subarray(0, 16), file));
    return isWeights || claim === 'zip' || claim === 'pickle' ? 'weights' : undefined;
  } finally {
    await source.close();
  }
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.sort((left, right) => (left.name < right.name ? -1 : 1));
}
