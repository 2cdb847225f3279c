import { Worker } from 'node:worker_threads';
import { BirdboneError } from '../errors.js';
import type { Answer } from './serve.js';

/** More threads than this wait for the disk: eight encode half a gigabyte of half-precision weights a second. */
const MAX_THREADS = 8;

/** Threads that all do the same kind of work. */
export interface Threads<Job, Result> {
  readonly count: number;
  /**
   * What the work makes of a job, on the thread that owes least, or on that of a number, for jobs that go together. Buffers in `moved`
   * go over to the thread and are empty here afterwards. Throws what the work throws, a BirdboneError as one.
   */
  run(job: Job, moved?: readonly ArrayBuffer[], thread?: number): Promise<Result>;
  /** Ends the threads; what they were doing is rejected. */
  close(): Promise<void>;
}

/** Up to 8 threads that run `source`, a script that ends in `serve`. They start with the first job. */
export function openThreads<Job, Result>(source: string, threads: number): Threads<Job, Result> {
  const count = Math.max(1, Math.min(MAX_THREADS, threads));
  let lanes: Lane<Job, Result>[] | undefined;
  return {
    count,
    run(job, moved = [], thread) {
      lanes ??= Array.from({ length: count }, () => startLane<Job, Result>(source));
      const free = lanes.reduce((least, next) => (next.owes() < least.owes() ? next : least));
      return (thread === undefined ? free : lanes[thread]!).run(job, moved);
    },
    async close() {
      await Promise.all((lanes ?? []).map((lane) => lane.close()));
      lanes = undefined;
    },
  };
}

/** One thread, and what it owes. */
interface Lane<Job, Result> {
  owes(): number;
  run(job: Job, moved: readonly ArrayBuffer[]): Promise<Result>;
  close(): Promise<void>;
}

interface Waiting<Result> {
  resolve(result: Result): void;
  reject(error: Error): void;
}

function startLane<Job, Result>(source: string): Lane<Job, Result> {
  const worker = new Worker(source, { eval: true });
  const waiting = new Map<number, Waiting<Result>>();
  let next = 0;
  worker.on('message', (answer: Answer<Result>) => {
    const { resolve, reject } = waiting.get(answer.id)!;
    waiting.delete(answer.id);
    if ('result' in answer) resolve(answer.result);
    else reject(new BirdboneError(answer.code, answer.message, { suggestions: answer.suggestions }));
  });
  const fail = (error: Error) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  worker.on('error', fail);
  worker.on('exit', () => fail(new Error('A thread has ended.')));
  return {
    owes: () => waiting.size,
    run: (job, moved) =>
      new Promise((resolve, reject) => {
        const id = next++;
        waiting.set(id, { resolve, reject });
        worker.postMessage({ id, job }, moved);
      }),
    close: async () => {
      await worker.terminate();
    },
  };
}
