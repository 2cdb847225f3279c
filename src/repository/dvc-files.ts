import { stat } from 'node:fs/promises';
import { FileSource } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { gitOutput } from './git.js';
import { MAX_YAML_BYTES } from './yaml-file.js';

/** The .dvc files under some paths of a repository, tracked or new, sorted. Throws as `gitOutput` does. */
export function dvcFiles(root: string, paths?: readonly string[]): Promise<string[]> {
  return listedPointers(root, ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], paths);
}

/** Those that the next commit adds or changes. */
export function stagedDvcFiles(root: string, paths?: readonly string[]): Promise<string[]> {
  return listedPointers(root, ['diff', '--cached', '--name-only', '-z', '--no-renames', '--diff-filter=d'], paths);
}

async function listedPointers(
  root: string,
  command: readonly string[],
  paths: readonly string[] = [],
): Promise<string[]> {
  // `dvc add` puts a.pt.dvc beside a.pt, which stands for it.
  const named = paths.flatMap((name) => [`:(top,literal)${name}`, `:(top,literal)${name}.dvc`]);
  const specs = named.length > 0 ? named : [':(top,glob)**/*.dvc'];
  const names = (await gitOutput([...command, '--', ...specs], { cwd: root })).toString('utf8').split('\0');
  const isPointer = (name: string): boolean => /[^/]\.dvc$/.test(name) && !/(?:^|\/)\.dvc\//.test(name);
  return [...new Set(names.filter(isPointer))].toSorted();
}

/** The text of a .dvc file; undefined for one that git knows and somebody has deleted. Throws `unreadable`. */
export async function pointerText(file: string): Promise<string | undefined> {
  if ((await kindOf(file)) === undefined) return undefined;
  const source = await FileSource.open(file);
  try {
    if (source.size > MAX_YAML_BYTES) {
      throw new BirdboneError('unreadable', `${file} has over ${MAX_YAML_BYTES} bytes.`, { file });
    }
    return Buffer.from(await source.read(0, source.size)).toString('utf8');
  } finally {
    await source.close();
  }
}

/** The text of a .dvc file in git's index. */
export async function stagedText(root: string, pointer: string): Promise<string> {
  const args = ['cat-file', 'blob', `:${pointer}`];
  return (await gitOutput(args, { cwd: root, maxBytes: MAX_YAML_BYTES })).toString('utf8');
}

/** What a path leads to, through links; undefined where there is nothing. */
export async function kindOf(file: string): Promise<'file' | 'folder' | undefined> {
  const status = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (status === undefined) return undefined;
  return status.isDirectory() ? 'folder' : 'file';
}
