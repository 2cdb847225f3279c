import { quoted } from '../checkpoint/index.js';

/** Names of files that hold weights; each counts in upper case too. Archives are not among them: they hold anything. */
export const WEIGHT_SUFFIXES = [
  '.safetensors',
  '.gguf',
  '.pt',
  '.pth',
  '.th',
  '.ckpt',
  '.bin',
  '.pkl',
  '.npz',
  '.h5',
  '.keras',
  '.onnx',
  '.msgpack',
] as const;

/** No file system takes a longer path. */
const MAX_PATH_CHARACTERS = 4096;
/** What birdbone itself keeps of a run, which is no part of the repository. */
const STATE_FOLDER = '.birdbone';

export function isWeightPath(path: string): boolean {
  const lower = path.toLowerCase();
  return WEIGHT_SUFFIXES.some((suffix) => lower.endsWith(suffix)) && !path.split('/').includes(STATE_FOLDER);
}

/** How git names all of them, at every depth. */
export const WEIGHT_PATHSPECS = WEIGHT_SUFFIXES.map((suffix) => `:(top,glob,icase)**/*${suffix}`);

/**
 * Why a path cannot stand in .weight_hashes.json; undefined when it can. It must lie below the repository's root and mean the
 * same file on every system, so that a manifest from anywhere leads nowhere else.
 */
export function pathProblem(path: string): string | undefined {
  if (path === '' || path.length > MAX_PATH_CHARACTERS) return `has ${path.length} characters`;
  if (path.includes('\0')) return 'has a NUL';
  if (path.includes('\\')) return 'has a backslash, which separates folders on Windows';
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path)) return 'is absolute';
  const parts = path.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..')) return 'has an empty part, "." or ".."';
  if (parts.some((part) => part.toLowerCase() === '.git')) return "leads into git's own folder";
  return isWeightPath(path) ? undefined : `ends in none of ${WEIGHT_SUFFIXES.join(', ')} (${quoted(parts.at(-1)!)})`;
}
