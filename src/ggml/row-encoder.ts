import { availableParallelism } from 'node:os';
import { DTYPES } from '../tensor/index.js';
import { openThreads } from '../threads/index.js';
import { type EncodeJob, encodeJob } from './encode-job.js';

/** Encodes rows on some threads. */
export interface RowEncoder {
  /** The blocks of a job, the same as of `encodeRows`, whatever the threads. Throws as it does. */
  encode(job: EncodeJob): Promise<Uint8Array>;
  /** Ends the threads; what was being encoded is rejected. */
  close(): Promise<void>;
}

/** A job of fewer elements is done at once, for a thread takes as long to start as a million take to encode. */
const MIN_ELEMENTS = 262_144;

/** Returns an encoder on as many threads as there are cores, up to 8. They start with the first job that is worth it. */
export function openRowEncoder(cores = availableParallelism()): RowEncoder {
  const threads = openThreads<EncodeJob, Uint8Array>('encode', cores);
  return {
    async encode(job) {
      const rows = (job.bytes.length * 8) / DTYPES[job.from].bits / job.columns;
      if (threads.count <= 1 || rows * job.columns < MIN_ELEMENTS || !Number.isInteger(rows)) return encodeJob(job);
      const rowBytes = job.bytes.length / rows;
      const share = Math.ceil(rows / threads.count);
      const parts = Array.from({ length: Math.ceil(rows / share) }, (_, index) => {
        const bytes = job.bytes.slice(index * share * rowBytes, (index + 1) * share * rowBytes);
        return threads.run({ ...job, bytes }, [bytes.buffer]);
      });
      return Buffer.concat(await Promise.all(parts));
    },
    close: () => threads.close(),
  };
}
