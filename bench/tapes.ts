/**
 * `npx tsx bench/tapes.ts`: the largest sum of tensors on the CPU device while gradients go back through one block, for blocks of twelve
 * shapes, against what plans take for it (src/waves/gradient-memory.ts). Some minutes, and 100 MB of disk under the system's temporary
 * folder.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { engine } from '@tensorflow/tfjs-core';
import { silent } from '../src/events.js';
import { collectGradients } from '../src/evidence/index.js';
import { openModel } from '../src/model/index.js';
import { openDevice } from '../src/tensor/index.js';
import { tapeBytes } from '../src/waves/gradient-memory.js';
import { megabytes } from './machine.js';
import { quarterWidth, writeMemoryModel } from './memory-model.js';
import { markdownTable } from './record.js';

const NARROW = { ffn: 1024, context: 256, windows: 8 };
const SHAPES = [
  { ffn: 1024, context: 64, windows: 8 },
  { ffn: 3584, context: 64, windows: 8 },
  { ffn: 1024, context: 256, windows: 2 },
  NARROW,
  { ffn: 3584, context: 256, windows: 8 },
  { ffn: 3584, context: 256, windows: 1 },
  { ffn: 3584, context: 512, windows: 4 },
  { ...NARROW, kvHeads: 8 },
  { ...NARROW, heads: 2 },
  { ...NARROW, heads: 4 },
  { ...NARROW, hidden: 512 },
  { ...NARROW, hidden: 2048 },
];

const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-tapes-'));
const device = await openDevice('cpu');
const rows: string[][] = [];
try {
  for (const { context, windows, ...shape } of SHAPES) {
    await writeMemoryModel(folder, { ...quarterWidth(1), vocabulary: 1024, ...shape });
    const model = await openModel(folder);
    const ids = (window: number) => Int32Array.from({ length: context }, (_, i) => (i * 7 + window) % 1000);
    const texts = Array.from({ length: windows }, (_, window) => ({ ids: ids(window) }));
    const peak = await largestSum(async () => {
      const pass = { device, memoryBytes: 2 ** 30, spillFolder: folder, report: silent };
      for await (const _ of collectGradients(model, texts, new Set(['gradient']), pass));
    });
    const taken = tapeBytes(model.decoder, windows * context);
    const { hidden, heads, kvHeads, headDim, ffn } = model.decoder;
    const widths = [hidden, heads * headDim, kvHeads * headDim, ffn, windows, context].map(String);
    rows.push([...widths, megabytes(peak), megabytes(taken), `${(100 * (taken / peak - 1)).toFixed(1)} %`]);
    await model.checkpoint.close();
  }
} finally {
  await device.close();
  await rm(folder, { recursive: true, force: true });
}
console.log(markdownTable(['h', 'q', 'k', 'f', 'windows', 'tokens', 'tensors', 'planned', 'off by'], rows));

/** TensorFlow.js counts the bytes of all tensors in its engine's state, and keeps no maximum. */
async function largestSum(work: () => Promise<void>): Promise<number> {
  const { state } = engine() as unknown as { state: { numBytes: number } };
  let [now, most] = [state.numBytes, 0];
  const set = (bytes: number) => {
    now = bytes;
    most = Math.max(most, now);
  };
  Object.defineProperty(state, 'numBytes', { configurable: true, enumerable: true, get: () => now, set });
  await work();
  Object.defineProperty(state, 'numBytes', { configurable: true, enumerable: true, writable: true, value: now });
  return most;
}
