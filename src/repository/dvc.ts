import { stat } from 'node:fs/promises';
import path from 'node:path';
import { FileSource, shellWord } from '../checkpoint/index.js';
import { BirdboneError, stopIfAborted } from '../errors.js';
import { type Report, silent } from '../events.js';
import { type DvcCache, dvcCache } from './dvc-cache.js';
import { dvcFiles, kindOf, pointerText, stagedDvcFiles, stagedText } from './dvc-files.js';
import { type FolderChanges, filesOf, folderChanges, folderMd5, type ListedFile, listedFiles } from './dvc-folder.js';
import { dvcHash } from './dvc-hash.js';
import { type DvcOutput, dvcPointer, isElsewhere } from './dvc-pointer.js';

/** What became of a file or folder that a .dvc file tracks. */
export interface DvcFinding {
  /** The .dvc file, from the top of the repository. */
  readonly pointer: string;
  /** What it tracks, from the top of the repository; the .dvc file itself where that cannot be read. */
  readonly path: string;
  /**
   * `matches`, `differs`, `unreadable` (the .dvc file, or what it tracks); `absent`: neither checked out nor in the cache;
   * `unchecked`: nothing to compare with here. Only `differs` and `unreadable` mean that something is wrong.
   */
  readonly status: 'matches' | 'differs' | 'unreadable' | 'absent' | 'unchecked';
  /** Where the content was found. */
  readonly where?: 'working-tree' | 'cache';
  readonly expected?: string;
  /** Not computed where the size alone differs. */
  readonly found?: string;
  /** Of a folder, where the cache has its recorded listing. */
  readonly files?: FolderChanges;
  /** One line: what is the matter, and what to do about it. */
  readonly what: string;
}

export interface DvcOptions {
  /** .dvc files, or folders to look for them in, from the top of the repository; all of the repository by default. */
  readonly paths?: readonly string[];
  /** Only .dvc files that the next commit changes, as they are in git's index; what they track is looked for as ever. */
  readonly staged?: boolean;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/**
 * One finding for each output of each .dvc file of a repository (tracked by git, or new): whether the file or folder in the
 * working tree, or the content in DVC's cache where it is not checked out, has the md5 that is recorded. In order of paths.
 * Reads every byte of what is there; asks no remote, and needs no DVC.
 */
export async function checkDvcPointers(root: string, options: DvcOptions = {}): Promise<DvcFinding[]> {
  const { report = silent, signal, staged = false } = options;
  const pointers = await (staged ? stagedDvcFiles : dvcFiles)(root, options.paths);
  const findings: DvcFinding[] = [];
  for (const [index, pointer] of pointers.entries()) {
    stopIfAborted(signal);
    findings.push(...(await checkPointer({ root, pointer, staged, signal })));
    report({ type: 'progress', stage: 'dvc', done: index + 1, total: pointers.length, unit: 'pointers' });
  }
  return findings;
}

interface PointerPlace {
  readonly root: string;
  readonly pointer: string;
  readonly staged: boolean;
  readonly signal: AbortSignal | undefined;
}

async function checkPointer({ root, pointer, staged, signal }: PointerPlace): Promise<DvcFinding[]> {
  try {
    const text = await (staged ? stagedText(root, pointer) : pointerText(path.join(root, pointer)));
    if (text === undefined) return [];
    const cache = await dvcCache(root, pointer);
    const findings: DvcFinding[] = [];
    for (const output of await dvcPointer(text, pointer)) {
      findings.push({ pointer, path: output.path, ...(await checkOutput({ root, output, cache, signal })) });
    }
    return findings;
  } catch (error) {
    if (!(error instanceof BirdboneError) || error.code === 'interrupted') throw error;
    return [{ pointer, path: pointer, status: 'unreadable', what: error.message }];
  }
}

interface Check {
  readonly root: string;
  readonly output: DvcOutput;
  readonly cache: DvcCache | undefined;
  readonly signal: AbortSignal | undefined;
}

type Verdict = Omit<DvcFinding, 'pointer' | 'path'>;

async function checkOutput(check: Check): Promise<Verdict> {
  const { root, output, cache, signal } = check;
  const { md5, hash, path: name } = output;
  if (isElsewhere(name)) return { status: 'unchecked', what: `${name} is outside of the repository` };
  if (md5 === undefined)
    return { status: 'unchecked', what: `no md5 is recorded for ${name}: dvc add ${shellWord(name)}` };
  const file = path.join(root, name);
  const kind = await kindOf(file);
  if (kind === 'folder') return checkFolder(check, md5);
  if (kind === 'file') return checkFile(check, md5);
  const cached = cache?.fileOf(md5, hash);
  if (cached === undefined || (await kindOf(cached)) !== 'file') return absent(md5, name);
  const found = await md5OfFile(cached, output, signal);
  if (found !== md5.slice(0, 32)) return damaged(md5, found, cached);
  if (md5.endsWith('.dir')) return checkCachedFolder({ ...check, cache: cache as DvcCache }, md5, cached);
  return { status: 'matches', where: 'cache', expected: md5, found, what: `${name} is in the cache, not checked out` };
}

/** A listing's file, and every file that it lists. */
async function checkCachedFolder(check: Check & { cache: DvcCache }, md5: string, cached: string): Promise<Verdict> {
  const { output, cache, signal } = check;
  for (const file of (await recordedFiles(cached, md5)) ?? []) {
    const content = cache.fileOf(file.md5, output.hash);
    if ((await kindOf(content)) !== 'file') return absent(md5, `${output.path}/${file.relpath}`);
    const found = await md5OfFile(content, output, signal);
    if (found !== file.md5) return damaged(file.md5, found, content);
  }
  const what = `${output.path} is in the cache, not checked out`;
  return { status: 'matches', where: 'cache', expected: md5, found: md5, what };
}

function absent(md5: string, name: string): Verdict {
  return { status: 'absent', expected: md5, what: `${name} is neither checked out nor in the cache: dvc pull` };
}

function damaged(md5: string, found: string, cached: string): Verdict {
  return {
    status: 'differs',
    where: 'cache',
    expected: md5,
    found,
    what: `${cached} is damaged: remove it, dvc fetch`,
  };
}

async function checkFile({ root, output, signal }: Check, md5: string): Promise<Verdict> {
  const { path: name, size } = output;
  const file = path.join(root, name);
  if (md5.endsWith('.dir')) return differing({ md5, what: `${name} is a file, where a folder is recorded`, name });
  const { size: bytes } = await stat(file);
  if (size !== undefined && size !== bytes) {
    return differing({ md5, what: `${name} has ${bytes} bytes, where ${size} are recorded`, name });
  }
  const found = await md5OfFile(file, output, signal);
  if (found === md5) return { status: 'matches', where: 'working-tree', expected: md5, found, what: `${name} matches` };
  return differing({ md5, found, what: `${name} has other bytes than recorded`, name });
}

async function checkFolder({ root, output, cache, signal }: Check, md5: string): Promise<Verdict> {
  const { path: name, hash } = output;
  const folder = path.join(root, name);
  if (!md5.endsWith('.dir')) return differing({ md5, what: `${name} is a folder, where a file is recorded`, name });
  const files: ListedFile[] = [];
  for (const relpath of await filesOf(folder)) {
    files.push({ relpath, md5: await md5OfFile(path.join(folder, relpath), output, signal) });
  }
  const found = `${folderMd5(files)}.dir`;
  if (found === md5) return { status: 'matches', where: 'working-tree', expected: md5, found, what: `${name} matches` };
  const recorded = await recordedFiles(cache?.fileOf(md5, hash), md5);
  const changes = recorded && folderChanges(recorded, files);
  const shown = changes && [...changes.changed, ...changes.added, ...changes.removed].slice(0, 3).join(', ');
  const what = `${name} has other files than recorded${shown === undefined ? '' : ` (${shown} …)`}`;
  return { ...differing({ md5, found, what, name }), ...(changes && { files: changes }) };
}

function differing(facts: { md5: string; found?: string; what: string; name: string }): Verdict {
  const { md5, found, what, name } = facts;
  return {
    status: 'differs',
    where: 'working-tree',
    expected: md5,
    ...(found !== undefined && { found }),
    what: `${what}: dvc add ${shellWord(name)} if that was meant, else dvc checkout ${shellWord(name)}`,
  };
}

/** The listing in the cache, when it is there and is what its name says. */
async function recordedFiles(cached: string | undefined, md5: string): Promise<ListedFile[] | undefined> {
  if (cached === undefined || (await kindOf(cached)) !== 'file') return undefined;
  const source = await FileSource.open(cached);
  try {
    if (source.size > MAX_LISTING_BYTES) return undefined;
    const files = listedFiles(Buffer.from(await source.read(0, source.size)).toString('utf8'));
    return files !== undefined && `${folderMd5(files)}.dir` === md5 ? files : undefined;
  } finally {
    await source.close();
  }
}

/** About MAX_LISTED_FILES of them. */
const MAX_LISTING_BYTES = 8 * 1024 * 1024;

async function md5OfFile(file: string, { hash }: DvcOutput, signal?: AbortSignal): Promise<string> {
  const source = await FileSource.open(file);
  try {
    return await dvcHash(source, hash, signal);
  } finally {
    await source.close();
  }
}
