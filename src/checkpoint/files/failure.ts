import { constants } from 'node:os';
import { BirdboneError, type ErrorDetails } from '../../errors.js';

const TRY_AGAIN = 'Download or copy the file again, and compare its size and sha256 with those of its source.';

/** An `unreadable` error that names the file and, when one is at fault, the tensor. */
export function unreadable(file: string, problem: string, details: ErrorDetails = {}): BirdboneError {
  return new BirdboneError('unreadable', `Cannot read ${file}: ${problem}.`, {
    suggestions: [TRY_AGAIN],
    ...details,
    file,
  });
}

/**
 * What the operating system said about a file that could not be opened or read, as an `unreadable` error; any other error as
 * it is.
 */
export function unreadableBecause(file: string, cause: unknown): unknown {
  const code = systemCode(cause);
  if (code === undefined) return cause;
  const [problem, suggestion] = READ_FAILURES[code] ?? [`the system says ${code}`, TRY_AGAIN];
  return unreadable(file, problem, { cause, suggestions: [suggestion] });
}

/** What the operating system said about a file that could not be written, as an `unwritable` error; any other as it is. */
export function unwritableBecause(file: string, cause: unknown): unknown {
  const code = systemCode(cause);
  if (code === undefined) return cause;
  const [problem, suggestion] = WRITE_FAILURES[code] ?? [
    `the system says ${code}`,
    'Check the disk and the folder, then run the same command again with --resume.',
  ];
  return new BirdboneError('unwritable', `Cannot write ${file}: ${problem}.`, {
    file,
    cause,
    suggestions: [suggestion],
  });
}

/** The system's name of an error, such as ENOENT; undefined for errors that are not the system's. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('syscall' in error || 'errno' in error) || !('code' in error)) return undefined;
  const { errno } = error as { readonly errno?: number };
  // Node has no name for some (EDQUOT: "Unknown system error -122"), though it knows their numbers.
  const known = Object.entries(constants.errno).find(([, number]) => number === -(errno ?? 0));
  return known?.[0] ?? String(error.code);
}

type Failures = Readonly<Record<string, readonly [problem: string, suggestion: string] | undefined>>;

const OPEN_FILES = ['too many files are open (EMFILE)', 'Raise the limit: ulimit -n 4096'] as const;

const READ_FAILURES: Failures = {
  ENOENT: ['there is no such file or folder (ENOENT)', 'Check the path.'],
  ENOTDIR: ['a part of the path is no folder (ENOTDIR)', 'Check the path.'],
  EACCES: ['reading it is not permitted (EACCES)', 'Check the permissions of the file and of its folder.'],
  EPERM: ['reading it is not permitted (EPERM)', 'Check the permissions of the file and of its folder.'],
  ELOOP: ['its symbolic links lead in a circle (ELOOP)', 'Replace the link with the file it should lead to.'],
  EIO: ['the disk failed (EIO)', 'Check the disk, and restore the file from a copy.'],
  EMFILE: OPEN_FILES,
};

const WRITE_FAILURES: Failures = {
  ENOSPC: ['the disk is full (ENOSPC)', 'Free some space, then run the same command again with --resume.'],
  EDQUOT: ['the disk quota is used up (EDQUOT)', 'Free some space, then run the same command again with --resume.'],
  EROFS: ['the file system is read-only (EROFS)', 'Choose a folder on a disk that can be written.'],
  EACCES: ['writing is not permitted (EACCES)', 'Check the permissions of the folder, or choose another.'],
  EPERM: ['writing is not permitted (EPERM)', 'Check the permissions of the folder, or choose another.'],
  ENOENT: ['its folder does not exist (ENOENT)', 'Create the folder first.'],
  EIO: ['the disk failed (EIO)', 'Check the disk, then run the same command again with --resume.'],
  EFBIG: ['it is too large for the file system (EFBIG)', 'Write smaller shards, or choose another disk.'],
  EMFILE: OPEN_FILES,
};
