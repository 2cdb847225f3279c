import { parentPort } from 'node:worker_threads';
import { BirdboneError, type ErrorCode } from '../errors.js';

/** What a thread answers: a result, or why there is none. Errors lose their class on the way between threads. */
export type Answer<Result> =
  | { readonly id: number; readonly result: Result }
  | {
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
      readonly suggestions: readonly string[];
    };

/** Makes this thread do `work` with each job that it is sent. `buffersOf` names the result's buffers, which are handed over. */
export function serve<Job, Result>(work: (job: Job) => Result, buffersOf: (result: Result) => readonly ArrayBuffer[]) {
  parentPort?.on('message', ({ id, job }: { readonly id: number; readonly job: Job }) => {
    try {
      const result = work(job);
      parentPort?.postMessage({ id, result } satisfies Answer<Result>, buffersOf(result));
    } catch (error) {
      // What is thrown here and not caught ends the thread, and its error event says so to the other side.
      if (!(error instanceof BirdboneError)) throw error;
      const { code, message, suggestions } = error;
      parentPort?.postMessage({ id, code, message, suggestions } satisfies Answer<Result>);
    }
  });
}
