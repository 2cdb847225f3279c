import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { type Answer, type Job, type Shared, sumGrams, work } from './worker.js';

type AnyJob =
  | { readonly kind: 'score' }
  | { readonly kind: 'embed' | 'run' | 'statistics' | 'grams'; readonly block: number };

/** Does jobs over all passages on some threads; answers come in passage order, so sums do not depend on the threads. */
export interface Pool {
  run(job: AnyJob): Promise<Answer[]>;
  close(): Promise<void>;
}

/** A worker thread of Node 20 takes no TypeScript by itself. */
const BOOT = `import(${JSON.stringify(import.meta.resolve('tsx/esm/api'))})
  .then(({ register }) => { register(); return import(${JSON.stringify(new URL('./worker.ts', import.meta.url).href)}); })`;

/** 0 threads: everything in this thread, for tests and for models that are done in a moment. */
export function openPool(shared: Shared, threads: number): Pool {
  const everyPassage = shared.passages.map((_, passage) => passage);
  if (threads === 0) {
    return {
      run: async (job) =>
        job.kind === 'grams'
          ? [sumGrams(shared, job.block, everyPassage)]
          : everyPassage.map((passage) => work(shared, { ...job, passages: [] }, passage)),
      close: async () => {},
    };
  }
  const workers = Array.from({ length: threads }, () => new Worker(BOOT, { eval: true, workerData: shared }));
  return {
    async run(job) {
      const shares = workers.map(async (worker, index) => {
        const passages = everyPassage.filter((passage) => passage % threads === index);
        worker.postMessage({ ...job, passages } satisfies Job);
        // `once` rejects when the worker fails.
        const [answers] = (await once(worker, 'message')) as [Answer[]];
        return answers;
      });
      return (await Promise.all(shares)).flat().sort((a, b) => a.passage - b.passage);
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
