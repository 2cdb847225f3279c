import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { DvcHashName } from './dvc-hash.js';

/** The later one wins. Source: the "Configuration" page of DVC's documentation. */
const CONFIG_FILES = ['config', 'config.local'];

/** Where DVC keeps contents, by their md5. */
export interface DvcCache {
  /** The file of a content, whether it is there or not. */
  fileOf(md5: string, hash: DvcHashName): string;
}

/**
 * The cache of the DVC project that a file belongs to: of the nearest folder above it, within `root`, that has a `.dvc`.
 * Undefined where there is none. Follows `cache.dir` of the project's configuration.
 */
export async function dvcCache(root: string, file: string): Promise<DvcCache | undefined> {
  const project = projectOf(root, path.dirname(path.join(root, file)));
  if (project === undefined) return undefined;
  let folder = path.join(project, '.dvc', 'cache');
  for (const name of CONFIG_FILES) {
    const configured = cacheDir(await textOf(path.join(project, '.dvc', name)));
    if (configured !== undefined) folder = path.resolve(project, '.dvc', configured);
  }
  return {
    // Until DVC 2 the cache had no folders for kinds of hashes.
    fileOf: (md5, hash) =>
      path.join(folder, ...(hash === 'md5' ? ['files', 'md5'] : []), md5.slice(0, 2), md5.slice(2)),
  };
}

function projectOf(root: string, from: string): string | undefined {
  for (let at = from; ; at = path.dirname(at)) {
    if (existsSync(path.join(at, '.dvc'))) return at;
    if (at === root || at === path.dirname(at)) return undefined;
  }
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** `dir` of the section `cache` in an INI text. */
function cacheDir(config: string): string | undefined {
  let section = '';
  let found: string | undefined;
  for (const line of config.split('\n')) {
    section = /^\s*\[\s*['"]?([^'"\]]*)['"]?\s*\]/.exec(line)?.[1]?.trim() ?? section;
    const value = /^\s*dir\s*=\s*(.+?)\s*$/.exec(line)?.[1];
    if (section === 'cache' && value !== undefined) found = value;
  }
  return found;
}
