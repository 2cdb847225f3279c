import { Worker } from 'node:worker_threads';

/** Far above any cache, and a tenth of a second to read on a slow machine. */
const BYTES_PER_CORE = 256 * 2 ** 20;
const RUNS = 5;

/**
 * One thread: looks through its buffer for a byte that is not there, which is memchr of the C library, as fast as memory gives.
 * A text, because a file would have another name before and after compilation.
 */
const READER = `
const { parentPort, workerData } = require('node:worker_threads');
const bytes = Buffer.alloc(workerData, 1);
parentPort.on('message', (signal) => {
  const view = new Int32Array(signal);
  Atomics.wait(view, 0, 0);
  const start = process.hrtime.bigint();
  if (bytes.indexOf(0) !== -1) throw new Error('a zero');
  parentPort.postMessage(Number(process.hrtime.bigint() - start) / 1e9);
});
parentPort.postMessage('ready');
`;

/**
 * Bytes a second that so many cores together read from memory: the best of a few runs, half a second in all. What else runs on the
 * machine at that time makes it less.
 */
export async function measureBandwidth(cores: number): Promise<number> {
  const readers = await Promise.all(Array.from({ length: cores }, startReader));
  try {
    let best = 0;
    for (let run = 0; run < RUNS; run += 1) {
      const signal = new SharedArrayBuffer(4);
      const times = readers.map((reader) => answerOf<number>(reader));
      for (const reader of readers) reader.postMessage(signal);
      const view = new Int32Array(signal);
      Atomics.store(view, 0, 1);
      Atomics.notify(view, 0);
      best = Math.max(best, (cores * BYTES_PER_CORE) / Math.max(...(await Promise.all(times))));
    }
    return best;
  } finally {
    await Promise.all(readers.map((reader) => reader.terminate()));
  }
}

async function startReader(): Promise<Worker> {
  const reader = new Worker(READER, { eval: true, workerData: BYTES_PER_CORE });
  await answerOf(reader);
  return reader;
}

function answerOf<T>(reader: Worker): Promise<T> {
  return new Promise((resolve, reject) => {
    reader.once('message', resolve);
    reader.once('error', reject);
  });
}
