import type { Blow, Point } from './strace.js';
import type { WritingCall } from './system-calls.js';

const NO_ROOM = ['error=ENOSPC', 'error=EDQUOT', 'error=EIO'] as const;
/** Nothing written and no error: POSIX allows it, and a loop that trusts a single call would lose bytes. */
const WRITE = [...NO_ROOM, 'retval=0'] as const;

/** The errors that each call is known to end with on a disk that is full, over quota or broken. */
const ERRORS: Readonly<Partial<Record<WritingCall, readonly Blow[]>>> = {
  openat: [...NO_ROOM, 'error=EMFILE'],
  write: WRITE,
  pwrite64: WRITE,
  writev: WRITE,
  pwritev: WRITE,
  fsync: ['error=EIO', 'error=ENOSPC'],
  fdatasync: ['error=EIO', 'error=ENOSPC'],
  unlink: ['error=EIO'],
  unlinkat: ['error=EIO'],
  rmdir: ['error=EIO'],
};

/** Every blow of a kind that is dealt at this point. */
export function blowsAt({ call }: Point, kind: 'kill' | 'error'): readonly Blow[] {
  return kind === 'kill' ? ['SIGKILL'] : (ERRORS[call] ?? NO_ROOM);
}
