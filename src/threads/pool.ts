import { Worker } from 'node:worker_threads';
import { source } from '#thread';
import { BirdboneError } from '../errors.js';
import type { Answer, Asked } from './serve.js';

/** More threads than this wait for the disk: eight encode half a gigabyte of half-precision weights a second. */
const MAX_THREADS = 8;

/**
 * Of a thread's young objects, three times what it may make before it looks for garbage. Its work makes many small arrays, whose memory V8
 * sees too late: with its own limit, threads that round held 30 MB more, and were no faster.
 */
const YOUNG_MIB = 3;

/** A use of the process's threads for one kind of work. */
export interface Threads<Job, Result> {
  readonly count: number;
  /**
   * What the work makes of a job, on the thread that owes least, or on that of a number below `count`, for jobs that go together. Buffers
   * in `moved` go over to the thread and are empty here afterwards. Throws what the work throws, a BirdboneError as one.
   */
  run(job: Job, moved?: readonly ArrayBuffer[], thread?: number): Promise<Result>;
  /** Rejects what has not been done. The threads end with the last who has them open. */
  close(): Promise<void>;
}

/**
 * The threads of this process, whatever they work on. Each starts with the first job that finds all others at work. They do not outlive
 * their use: memory that was shared with one is not given back before its next garbage collection, which an idle one never has.
 */
const lanes: Lane[] = [];
/** How many have them open. */
let users = 0;

/** Has up to 8 of the process's threads do work of a name (src/thread.ts). */
export function openThreads<Job, Result>(work: string, threads: number): Threads<Job, Result> {
  const count = Math.max(1, Math.min(MAX_THREADS, threads));
  const waiting = new Set<(error: Error) => void>();
  let isOpen = false;
  return {
    count,
    async run(job, moved = [], thread) {
      if (!isOpen) users += 1;
      isOpen = true;
      const lane = thread === undefined ? freeLane(count) : laneAt(thread);
      return new Promise<Result>((resolve, reject) => {
        waiting.add(reject);
        lane
          .run({ work, job }, moved)
          .then((result) => resolve(result as Result), reject)
          .finally(() => waiting.delete(reject));
      });
    },
    async close() {
      if (!isOpen) return;
      isOpen = false;
      for (const reject of waiting) reject(new Error(`The threads that ${work} have ended.`));
      users -= 1;
      if (users === 0) await Promise.all(lanes.splice(0).map((lane) => lane.end()));
    },
  };
}

/** The thread that owes least of the first `count`; another one, where all that have started owe something. */
function freeLane(count: number): Lane {
  let least = 0;
  for (let index = 1; index < Math.min(count, lanes.length); index += 1) {
    if (lanes[index]!.owes < lanes[least]!.owes) least = index;
  }
  const allAreBusy = (lanes[least]?.owes ?? 0) > 0;
  return laneAt(allAreBusy && lanes.length < count ? lanes.length : least);
}

/** A thread by its number, started where it has not been or has ended. */
function laneAt(index: number): Lane {
  while (lanes.length <= index) lanes.push(new Lane());
  if (lanes[index]!.hasEnded) lanes[index] = new Lane();
  return lanes[index]!;
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** One thread. It keeps the process alive only while it owes something. */
class Lane {
  readonly #worker = new Worker(source, { eval: true, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB } });
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;
  hasEnded = false;

  constructor() {
    this.#worker.unref();
    this.#worker.on('message', (answer: Answer) => this.#take(answer));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error('A thread has ended.')));
  }

  get owes(): number {
    return this.#waiting.size;
  }

  run(asked: Omit<Asked, 'id'>, moved: readonly ArrayBuffer[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage({ id, ...asked } satisfies Asked, moved);
    });
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #take(answer: Answer): void {
    const { resolve, reject } = this.#waiting.get(answer.id)!;
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if ('result' in answer) resolve(answer.result);
    else if ('error' in answer) reject(answer.error);
    else reject(new BirdboneError(answer.code, answer.message, { suggestions: answer.suggestions }));
  }

  #fail(error: Error): void {
    this.hasEnded = true;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
