import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { source } from '#encode-worker';
import { BirdboneError } from '../errors.js';
import { DTYPES } from '../tensor/index.js';
import { type EncodeJob, encodeJob } from './encode-job.js';
import type { EncodeAnswer } from './encode-worker.js';

/** Encodes rows on some threads. */
export interface RowEncoder {
  /** The blocks of a job, the same as of `encodeRows`, whatever the threads. Throws as it does. */
  encode(job: EncodeJob): Promise<Uint8Array>;
  /** Ends the threads; what was being encoded is rejected. */
  close(): Promise<void>;
}

/** More threads than this wait for the disk: eight encode half a gigabyte of half-precision weights a second. */
const MAX_THREADS = 8;
/** A job of fewer elements is done at once, for a thread takes as long to start as a million take to encode. */
const MIN_ELEMENTS = 262_144;

/** Returns an encoder on as many threads as there are cores, up to 8. They start with the first job that is worth it. */
export function openRowEncoder(threads = Math.min(MAX_THREADS, availableParallelism())): RowEncoder {
  let lanes: Lane[] | undefined;
  return {
    async encode(job) {
      const rows = (job.bytes.length * 8) / DTYPES[job.from].bits / job.columns;
      if (threads <= 1 || rows * job.columns < MIN_ELEMENTS || !Number.isInteger(rows)) return encodeJob(job);
      lanes ??= Array.from({ length: threads }, startLane);
      const rowBytes = job.bytes.length / rows;
      const share = Math.ceil(rows / threads);
      const parts = lanes.map((lane, index) => {
        const [from, to] = [Math.min(rows, index * share), Math.min(rows, (index + 1) * share)];
        return from === to
          ? new Uint8Array(0)
          : lane.encode({ ...job, bytes: job.bytes.slice(from * rowBytes, to * rowBytes) });
      });
      return Buffer.concat(await Promise.all(parts));
    },
    async close() {
      await Promise.all((lanes ?? []).map((lane) => lane.close()));
      lanes = undefined;
    },
  };
}

/** One thread, and what it owes. */
interface Lane {
  encode(job: EncodeJob): Promise<Uint8Array>;
  close(): Promise<void>;
}

interface Waiting {
  resolve(bytes: Uint8Array): void;
  reject(error: Error): void;
}

function startLane(): Lane {
  const worker = new Worker(source, { eval: true });
  const waiting = new Map<number, Waiting>();
  let next = 0;
  worker.on('message', (answer: EncodeAnswer) => {
    const { resolve, reject } = waiting.get(answer.id)!;
    waiting.delete(answer.id);
    if ('bytes' in answer) resolve(answer.bytes);
    else reject(new BirdboneError(answer.code, answer.message, { suggestions: answer.suggestions }));
  });
  const fail = (error: Error) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  worker.on('error', fail);
  worker.on('exit', () => fail(new Error('An encoder thread has ended.')));
  return {
    encode: (job) =>
      new Promise((resolve, reject) => {
        const id = next++;
        waiting.set(id, { resolve, reject });
        worker.postMessage({ id, job }, [job.bytes.buffer as ArrayBuffer]);
      }),
    close: async () => {
      await worker.terminate();
    },
  };
}
