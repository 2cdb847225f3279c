import { parentPort } from 'node:worker_threads';
import { BirdboneError, type ErrorCode } from '../errors.js';
import { type EncodeJob, encodeJob } from './encode-job.js';

/** What a worker answers: blocks, or why there are none. Errors lose their class on the way between threads. */
export type EncodeAnswer =
  | { readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | {
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
      readonly suggestions: readonly string[];
    };

parentPort?.on('message', ({ id, job }: { readonly id: number; readonly job: EncodeJob }) => {
  try {
    const bytes = encodeJob(job);
    parentPort?.postMessage({ id, bytes } satisfies EncodeAnswer, [bytes.buffer]);
  } catch (error) {
    // What is thrown here and not caught ends the thread, and its error event says so to the other side.
    if (!(error instanceof BirdboneError)) throw error;
    const { code, message, suggestions } = error;
    parentPort?.postMessage({ id, code, message, suggestions } satisfies EncodeAnswer);
  }
});
