import { availableParallelism } from 'node:os';
import { source } from '#round-worker';
import { openThreads } from '../threads/index.js';
import { type RoundedRows, type RoundJob, roundRows } from './round-rows.js';

/** Rounds rows on some threads. */
export interface RowRounder {
  /** Jobs that it works on side by side: what is worth having under way. */
  readonly parallel: number;
  /** `roundRows`, whatever the threads. The job's bytes are the rounder's: they may be gone afterwards. */
  round(job: RoundJob): Promise<RoundedRows>;
  /** Ends the threads; what was being rounded is rejected. */
  close(): Promise<void>;
}

/** A job of fewer bytes is done at once: a thread starts in the time that it takes to round ten times as many. */
const MIN_BYTES = 2 ** 20;

/** Returns a rounder on as many threads as there are cores, up to 8. They start with the first job that is worth it. */
export function openRowRounder(cores = availableParallelism()): RowRounder {
  const threads = openThreads<RoundJob, RoundedRows>(source, cores);
  return {
    parallel: threads.count,
    async round(job) {
      if (threads.count <= 1 || job.bytes.length < MIN_BYTES) return roundRows(job);
      const { bytes } = job;
      // A part of a larger buffer is copied: the rest is somebody else's.
      const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
      return threads.run({ ...job, bytes: own }, [own.buffer as ArrayBuffer]);
    },
    close: () => threads.close(),
  };
}
