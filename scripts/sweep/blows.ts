import { sizesBetween } from './full-disk.js';
import type { Lane, Prepared } from './lane.js';
import type { Blow, Point, Struck } from './strace.js';
import type { WritingCall } from './system-calls.js';

export const KINDS = ['kill', 'error', 'full'] as const;

/** Death; an error of one system call; a disk that is full. */
export type Kind = (typeof KINDS)[number];

/** One way in which a command is cut short, to be dealt in any lane. */
export interface PlannedBlow {
  readonly name: string;
  readonly kind: Kind;
  deal(lane: Lane, prepared: Prepared): Promise<Struck>;
}

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

/** Every blow of a kind, in the order of the command's calls or of the disk's sizes. */
export function planBlows(kind: Kind, { points, usedBefore, usedAfter }: Prepared): PlannedBlow[] {
  if (kind === 'full') {
    return sizesBetween(usedBefore, usedAfter).map((bytes) => ({
      name: `a disk of ${bytes} bytes`,
      kind,
      deal: (lane, prepared) => lane.fillDisk(prepared, bytes),
    }));
  }
  return points.flatMap((point, at) =>
    (kind === 'kill' ? (['SIGKILL'] as const) : (ERRORS[point.call] ?? NO_ROOM)).map((blow) => ({
      name: nameOf(point, blow),
      kind,
      deal: (lane: Lane, prepared: Prepared) => lane.strike(prepared, prepared.points[at]!, blow),
    })),
  );
}

/** In words that are the same in every lane. */
function nameOf({ call, path, ordinal }: Point, blow: Blow): string {
  return `${blow} at ${call} ${ordinal} of ${path.replace(/^.*\/place\//, '')}`;
}
