import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { BirdboneError } from '../errors.js';

/** A listing has about 70 bytes a file; a model's folder has a few. */
export const MAX_LISTED_FILES = 100_000;

/** Folders that DVC never tracks. */
const NEVER_TRACKED = new Set(['.git', '.hg', '.dvc']);

/** A file of a tracked folder: its path within, with `/`, and its md5 in hex. */
export interface ListedFile {
  readonly relpath: string;
  readonly md5: string;
}

/** What differs between the recorded files of a folder and those that are there. */
export interface FolderChanges {
  readonly changed: readonly string[];
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

const listing = z.array(z.object({ relpath: z.string(), md5: z.string().regex(/^[0-9a-f]{32}$/) }));

/**
 * The md5 of a folder as DVC records it, without `.dir`: of the JSON text that lists its files in order of their paths, as
 * Python's json.dumps writes it. Source: dvc-data, hashfile/tree.py.
 */
export function folderMd5(files: readonly ListedFile[]): string {
  const entries = files
    .toSorted((a, b) => comparePaths(a.relpath, b.relpath))
    .map(({ relpath, md5 }) => `{"md5": ${pythonJson(md5)}, "relpath": ${pythonJson(relpath)}}`);
  return createHash('md5')
    .update(`[${entries.join(', ')}]`)
    .digest('hex');
}

/** The paths of the files in a folder and below, with `/`, as DVC tracks them where no .dvcignore says otherwise. */
export async function filesOf(folder: string): Promise<string[]> {
  const found: string[] = [];
  const pending = [''];
  for (let within = pending.pop(); within !== undefined; within = pending.pop()) {
    for (const entry of await readdir(path.join(folder, within), { withFileTypes: true })) {
      const relpath = path.posix.join(within, entry.name);
      if (NEVER_TRACKED.has(entry.name)) continue;
      // DVC follows its own links to files, and none to folders.
      if (entry.isSymbolicLink() && (await leadsToFolder(path.join(folder, relpath)))) continue;
      if (entry.isDirectory()) pending.push(relpath);
      else found.push(relpath);
      if (found.length <= MAX_LISTED_FILES) continue;
      throw new BirdboneError('unsupported', `${folder} has over ${MAX_LISTED_FILES} files.`, { file: folder });
    }
  }
  return found;
}

async function leadsToFolder(link: string): Promise<boolean> {
  const status = await stat(link).catch(() => undefined);
  return status?.isDirectory() ?? false;
}

/** The files that a listing from DVC's cache names; undefined for a text that is none. */
export function listedFiles(text: string): ListedFile[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return listing.safeParse(value).data;
}

/** What became of the recorded files, by their paths. */
export function folderChanges(recorded: readonly ListedFile[], found: readonly ListedFile[]): FolderChanges {
  const [before, now] = [recorded, found].map((files) => new Map(files.map(({ relpath, md5 }) => [relpath, md5])));
  const names = (files: Map<string, string> | undefined, keep: (name: string, md5: string) => boolean): string[] =>
    [...(files ?? [])].filter(([name, md5]) => keep(name, md5)).map(([name]) => name);
  return {
    changed: names(now, (name, md5) => before?.has(name) === true && before.get(name) !== md5),
    added: names(now, (name) => before?.has(name) !== true),
    removed: names(before, (name) => now?.has(name) !== true),
  };
}

/** Python compares by code points, JavaScript by UTF-16 units; UTF-8 bytes sort like the former. */
function comparePaths(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** A string as Python's json.dumps writes it: printable ASCII only. JSON.stringify escapes the rest the same way. */
function pythonJson(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
