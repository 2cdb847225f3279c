import { type ChildProcess, fork } from 'node:child_process';
import type { Batch, Finding, FromWorker, Progress } from './messages.js';

/** A worker reports four times a second. One that is silent for this long hangs, on however busy a machine. */
const SILENCE_MILLISECONDS = 60_000;
/** Of the JavaScript heap: a mutation that wants more than this, beside some megabytes of our own, ends the worker. */
const HEAP_MEGABYTES = 160;
/** How a worker says that the harness failed, not the reader. */
const HARNESS_FAILED = 70;

export interface Watched {
  readonly worker: string;
  readonly format: string;
  readonly seed: number;
  /** The next numbers to run; undefined when there are no more. */
  readonly nextBatch: () => Batch | undefined;
  readonly onProgress: (progress: Progress) => void;
  readonly onFinding: (finding: Omit<Finding, 'bytes'> & { readonly bytes?: string }) => void;
}

/**
 * Runs batches in a process of their own until there are none left. A process that dies or falls silent is replaced; the rest
 * of its batch runs again, one mutation at a time with its number said first, so that the one that does it is known by name.
 */
export async function watch(watched: Watched): Promise<void> {
  let batch = watched.nextBatch();
  while (batch !== undefined) {
    const stopped = await runUntilTrouble(watched, batch);
    if (stopped === undefined) return;
    const { rest, culprit, why } = stopped;
    if (culprit === undefined) {
      if (batch.careful) throw new Error(`A worker of ${watched.format} ${why} before its first mutation.`);
      batch = { ...rest, careful: true };
      continue;
    }
    const kind = why === 'silent' ? 'hang' : 'death';
    watched.onFinding({ kind, index: culprit, signature: `the process ${why}`, stack: '' });
    batch = { from: culprit + 1, to: rest.to, careful: false };
  }
}

interface Stopped {
  readonly rest: Batch;
  /** Known when the batch ran carefully. */
  readonly culprit: number | undefined;
  readonly why: string;
}

function runUntilTrouble(watched: Watched, first: Batch): Promise<Stopped | undefined> {
  const child = fork(watched.worker, [watched.format, String(watched.seed)], {
    execArgv: [`--max-old-space-size=${HEAP_MEGABYTES}`],
    serialization: 'advanced',
  });
  let batch: Batch = first;
  let at = first.from;
  let culprit: number | undefined;
  let isFinished = false;
  let why: string | undefined;
  return new Promise((resolve, reject) => {
    const silence = watchSilence(child, () => (why = 'silent'));
    child.on('message', (message: FromWorker) => {
      silence.refresh();
      if (message.type === 'next') culprit = message.index;
      else if (message.type === 'finding') watched.onFinding(message.finding);
      else {
        at = message.at;
        watched.onProgress(message);
        if (!message.isDone) return;
        const next = watched.nextBatch();
        culprit = undefined;
        isFinished = next === undefined;
        if (next === undefined) {
          child.disconnect();
          return;
        }
        batch = next;
        at = next.from;
        child.send(next);
      }
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearTimeout(silence);
      if (code === HARNESS_FAILED) reject(new Error('The fuzzer itself failed; its worker printed why.'));
      else if (isFinished) resolve(undefined);
      else resolve({ rest: { ...batch, from: at }, culprit, why: why ?? `ended with ${signal ?? code}` });
    });
    child.send(batch);
  });
}

function watchSilence(child: ChildProcess, onSilence: () => void): NodeJS.Timeout {
  return setTimeout(() => {
    onSilence();
    child.kill('SIGKILL');
  }, SILENCE_MILLISECONDS);
}
