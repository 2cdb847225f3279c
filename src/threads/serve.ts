import { parentPort } from 'node:worker_threads';
import { BirdboneError, type ErrorCode } from '../errors.js';

/** What a thread is asked: to do work of a name with a job. */
export interface Asked {
  readonly id: number;
  readonly work: string;
  readonly job: unknown;
}

/** What it answers: a result, or why there is none. A BirdboneError loses its class on the way between threads. */
export type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: Error }
  | {
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
      readonly suggestions: readonly string[];
    };

/** A kind of work. */
export interface Work {
  readonly run: (job: never) => unknown;
  /** The buffers of a result, which are handed over. */
  readonly buffersOf: (result: never) => readonly ArrayBuffer[];
}

/** Names the types of a kind of work. */
export function workOf<Job, Result>(
  run: (job: Job) => Result,
  buffersOf: (result: Result) => readonly ArrayBuffer[] = () => [],
): Work {
  return { run, buffersOf };
}

/** Makes this thread do each job that it is sent. */
export function serve(works: Readonly<Record<string, Work>>): void {
  parentPort?.on('message', ({ id, work: name, job }: Asked) => {
    try {
      const work = works[name];
      if (work === undefined) throw new RangeError(`Threads know no work '${name}'.`);
      const result = work.run(job as never);
      parentPort?.postMessage({ id, result } satisfies Answer, work.buffersOf(result as never));
    } catch (error) {
      parentPort?.postMessage(reasonOf(id, error));
    }
  });
}

function reasonOf(id: number, error: unknown): Answer {
  if (!(error instanceof BirdboneError))
    return { id, error: error instanceof Error ? error : new Error(String(error)) };
  const { code, message, suggestions } = error;
  return { id, code, message, suggestions };
}
