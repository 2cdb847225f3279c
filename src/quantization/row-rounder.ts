import { availableParallelism } from 'node:os';
import { openThreads, SpareMemory } from '../threads/index.js';
import { type RoundedRows, type RoundJob, roundRows } from './round-rows.js';

/** Rounds rows on some threads. */
export interface RowRounder {
  /** Jobs that it works on side by side: what is worth having under way. */
  readonly parallel: number;
  /** For the bytes of jobs. */
  readonly memory: SpareMemory;
  /** `roundRows`, whatever the threads. Of a job whose bytes lie in `memory` the codes may be where these were. */
  round(job: RoundJob): Promise<RoundedRows>;
  /** Ends the threads; what was being rounded is rejected. */
  close(): Promise<void>;
}

/**
 * Of memory for what is rounded at a time. Of rows of 14336 elements of 16 bits, as many models have them, 14 MiB are the least that is
 * whole chunks of a diff; what of a piece is never used takes no memory.
 */
const PIECE_BYTES = 16 * 2 ** 20;

/** A job of fewer bytes is done at once: a thread starts in the time that it takes to round ten times as many. */
const MIN_BYTES = 2 ** 20;

/** Returns a rounder on as many threads as there are cores, up to 8. They start with the first job that is worth it. */
export function openRowRounder(cores = availableParallelism()): RowRounder {
  const threads = openThreads<RoundJob, RoundedRows>('round', cores);
  return {
    parallel: threads.count,
    memory: new SpareMemory(PIECE_BYTES),
    async round(job) {
      if (threads.count <= 1 || job.bytes.length < MIN_BYTES) return roundRows(job);
      return threads.run(job);
    },
    close: () => threads.close(),
  };
}
