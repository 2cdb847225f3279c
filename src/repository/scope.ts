import { lstat, realpath } from 'node:fs/promises';
import path from 'node:path';
import { BirdboneError } from '../errors.js';
import { gitRoot } from './git.js';
import { isWeightPath } from './weight-path.js';

/** Where .weight_hashes.json lies, and what of it a command is about. */
export interface Scope {
  /** Real path of the repository's top folder; without git, of the folder the command runs in. */
  readonly root: string;
  readonly isGit: boolean;
  /** Files and folders relative to the root; a repository's whole without any. */
  readonly paths: readonly string[];
}

/**
 * The repository that paths lie in, or the one around `cwd` without any; where there is no git, `cwd` itself. Throws `usage`
 * for paths outside of it, and for a path that is not there.
 */
export async function scopeOf(paths: readonly string[], cwd: string): Promise<Scope> {
  const places = await Promise.all(paths.map((given) => placeOf(given, cwd)));
  const start = places[0] === undefined ? cwd : await nearestFolder(places[0]);
  const top = await gitRoot(start);
  const root = await realpath(top ?? cwd);
  const relative = places.map((place, i) => {
    const name = path.relative(root, place);
    const isOutside = name === '..' || name.startsWith(`..${path.sep}`) || path.isAbsolute(name);
    if (!isOutside) return name.split(path.sep).join('/');
    throw new BirdboneError('usage', `${paths[i]} lies outside of ${root}, whose hashes these are.`, {
      suggestions: ['Run birdbone in the folder that holds all of the paths, one repository at a time.'],
    });
  });
  return { root, isGit: top !== undefined, paths: relative.includes('') ? [] : relative };
}

/** True for a path that the scope names, lies in a folder that it names, or when it names none. */
export function isWithin({ paths }: Scope, file: string): boolean {
  return paths.length === 0 || paths.some((scope) => file === scope || file.startsWith(`${scope}/`));
}

/** Throws `usage` for a path of the scope under which none of the known files lies. */
export function refuseEmpty(scope: Scope, known: readonly string[]): void {
  for (const given of scope.paths) {
    if (known.some((name) => isWithin({ ...scope, paths: [given] }, name))) continue;
    throw new BirdboneError('usage', `${given} holds no weights that are recorded or could be.`, {
      file: given,
      suggestions: [
        isWeightPath(given) ? 'Check the path, and whether git ignores it.' : 'Name a folder, or a file of weights.',
      ],
    });
  }
}

/** The real path of a folder, or of a file's folder with its name behind: the file may be gone, or a link to refuse. */
async function placeOf(given: string, cwd: string): Promise<string> {
  const full = path.resolve(cwd, given);
  const isFolder = (await lstat(full).catch(() => undefined))?.isDirectory() ?? false;
  if (isFolder) return realpath(full);
  return path.join(await nearestRealPath(path.dirname(full)), path.basename(full));
}

async function nearestRealPath(folder: string): Promise<string> {
  return realpath(folder).catch(async () =>
    path.join(await nearestRealPath(path.dirname(folder)), path.basename(folder)),
  );
}

async function nearestFolder(place: string): Promise<string> {
  const isFolder = (await lstat(place).catch(() => undefined))?.isDirectory() ?? false;
  return isFolder ? place : nearestFolder(path.dirname(place));
}
