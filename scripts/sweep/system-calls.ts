/** Calls that change a file system, or make a change durable: the moments between which a state can be cut in two. */
export const WRITING_CALLS = [
  ...['openat', 'write', 'pwrite64', 'writev', 'pwritev', 'copy_file_range', 'sendfile', 'fallocate'],
  ...['ftruncate', 'truncate', 'fsync', 'fdatasync', 'rename', 'renameat', 'renameat2', 'link', 'linkat'],
  ...['symlink', 'symlinkat', 'unlink', 'unlinkat', 'mkdir', 'mkdirat', 'rmdir', 'chmod', 'fchmod'],
] as const;

export type WritingCall = (typeof WRITING_CALLS)[number];

/** One entry of a system call in strace's log. */
export interface CallEntry {
  readonly thread: string;
  readonly call: string;
  /** What follows the opening bracket, as far as it is known at the entry. */
  readonly rest: string;
}

/** Entries in the log's order; the end of a call that another thread interrupted is not an entry of its own. */
export function entriesOf(log: string): CallEntry[] {
  const entries: CallEntry[] = [];
  for (const line of log.split('\n')) {
    const match = /^(\d+)\s+([a-z0-9_]+)\((.*)$/.exec(line);
    if (match !== null) entries.push({ thread: match[1]!, call: match[2]!, rest: match[3]! });
  }
  return entries;
}

/** Whether an entry changes something: opening does when it may create, everything else in the list does. */
export function changesSomething({ call, rest }: CallEntry): boolean {
  return call !== 'openat' || rest.includes('O_CREAT');
}

/** Calls whose quoted arguments are data, not paths. */
const TAKES_DATA = /^(?:p?write|sendfile|copy_file_range)/;

/** Every path of an entry that `strace -y` logged: arguments as they were given, and what descriptors stand for. */
export function pathsOf({ call, rest }: CallEntry): string[] {
  if (TAKES_DATA.test(call)) return openedIn(rest.slice(0, rest.indexOf('"')));
  const named = [...rest.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text]) => text!);
  return [...named, ...openedIn(rest)];
}

function openedIn(rest: string): string[] {
  return [...rest.matchAll(/\b\d+<(\/[^>]*)>/g)].map(([, path]) => path!.replace(/ \(deleted\)$/, ''));
}
