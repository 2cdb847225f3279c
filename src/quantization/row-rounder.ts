import { availableParallelism } from 'node:os';
import { source } from '#round-worker';
import { openThreads, SpareMemory } from '../threads/index.js';
import { type RoundedRows, type RoundJob, roundRows } from './round-rows.js';

/** Rounds rows on some threads. */
export interface RowRounder {
  /** Jobs that it works on side by side: what is worth having under way. */
  readonly parallel: number;
  /** For the bytes of jobs. */
  readonly memory: SpareMemory;
  /** `roundRows`, whatever the threads. The job's bytes, and all of the buffer that they are in, are the rounder's and come back. */
  round(job: RoundJob): Promise<ReturnedRows>;
  /** Ends the threads; what was being rounded is rejected. */
  close(): Promise<void>;
}

/** Rows that were rounded, and the buffer that the job's bytes were in. */
export interface ReturnedRows extends RoundedRows {
  readonly buffer: ArrayBuffer;
}

/** What is rounded at a time: some milliseconds of a thread's work, and little memory for each. */
const STRIP_BYTES = 8 * 2 ** 20;

/** A job of fewer bytes is done at once: a thread starts in the time that it takes to round ten times as many. */
const MIN_BYTES = 2 ** 20;

/** Returns a rounder on as many threads as there are cores, up to 8. They start with the first job that is worth it. */
export function openRowRounder(cores = availableParallelism()): RowRounder {
  const threads = openThreads<RoundJob, ReturnedRows>(source, cores);
  return {
    parallel: threads.count,
    memory: new SpareMemory(STRIP_BYTES),
    async round(job) {
      const buffer = job.bytes.buffer as ArrayBuffer;
      if (threads.count <= 1 || job.bytes.length < MIN_BYTES) return { ...roundRows(job), buffer };
      return threads.run(job, [buffer]);
    },
    close: () => threads.close(),
  };
}
