/**
 * `tsx bench/wanda-job.ts MODEL WINDOWS CONTEXT THREADS FOLDER`: one wave of Wanda at 50 % over every block of a model, calibrated on
 * random tokens, its layer stored as a run stores it. A process of its own, so that its memory and its CPU time are the job's
 * (bench/parts/scaling.ts).
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { silent } from '../src/events.js';
import { openModel } from '../src/model/index.js';
import { Marks } from '../src/plates/index.js';
import { pruneEdit } from '../src/pruning/index.js';
import { seededRandom } from '../src/random.js';
import { ObjectStore, StoredLayerWriter } from '../src/store/index.js';
import { openDevice } from '../src/tensor/index.js';

const [at, windows, context, threads, state] = process.argv.slice(2) as [string, string, string, string, string];
const model = await openModel(at);
const device = await openDevice('cpu', { threads: Number(threads) });
const edit = await pruneEdit({ metric: 'wanda', pattern: 'unstructured', sparsity: 0.5 });
await mkdir(state, { recursive: true });
const writer = new StoredLayerWriter(new ObjectStore(path.join(state, 'objects')), {
  wave: 1,
  plan: edit.plan(model),
  before: { checkpoint: model.checkpoint, layers: [] },
});
const random = seededRandom(1);
const calibration = Array.from({ length: Number(windows) }, () => ({
  ids: Int32Array.from({ length: Number(context) }, () => random.below(model.decoder.vocabulary)),
}));
const start = performance.now();
const before = process.cpuUsage();
await edit.propose({
  model,
  device,
  target: edit.target,
  calibration,
  marks: Marks.none,
  spared: Marks.none,
  writer,
  memoryBytes: 2 ** 30,
  spillFolder: state,
  report: silent,
});
await writer.commit();
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6 }));
await device.close();
await model.checkpoint.close();
