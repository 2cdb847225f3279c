/**
 * `tsx bench/solve-model.ts MODEL SOLVER PATTERN WINDOWS FOLDER`: one wave with a solver over every block of a model, calibrated on
 * random tokens, its layer stored as a run stores it. Prints the seconds of each block as JSON, by the clock and of processors. A process of its own, so that its
 * peak memory is the work's (bench/large-solver.ts).
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Event } from '../src/events.js';
import { openModel } from '../src/model/index.js';
import { Marks } from '../src/plates/index.js';
import { pruneEdit } from '../src/pruning/index.js';
import { ObjectStore, StoredLayerWriter } from '../src/store/index.js';
import { openDevice } from '../src/tensor/index.js';

const CONTEXT = 256;

const [folder, solver, pattern, windows, state] = process.argv.slice(2) as [string, string, string, string, string];
const model = await openModel(folder);
const device = await openDevice('cpu');
const edit = await pruneEdit({ metric: 'wanda', pattern, solver });
await mkdir(state, { recursive: true });
const writer = new StoredLayerWriter(new ObjectStore(path.join(state, 'objects')), {
  wave: 1,
  plan: edit.plan(model),
  before: { checkpoint: model.checkpoint, layers: [] },
});
const ends: { clock: number; processor: number }[] = [];
const notices: string[] = [];
const report = (event: Event) => {
  if (event.type === 'progress' && event.stage === 'prune') ends.push(now());
  if (event.type === 'notice') notices.push(event.message);
};
const start = now();
await edit.propose({
  model,
  device,
  target: edit.target,
  calibration: randomWindows(Number(windows)),
  marks: Marks.none,
  spared: Marks.none,
  writer,
  memoryBytes: 2 ** 30,
  spillFolder: state,
  report,
});
const layer = await writer.commit();
await device.close();
await model.checkpoint.close();
const of = (kind: 'clock' | 'processor') => ends.map((end, i) => end[kind] - (ends[i - 1] ?? start)[kind]);
console.log(JSON.stringify({ seconds: of('clock'), processorSeconds: of('processor'), notices, layer: layer.id }));

function now(): { clock: number; processor: number } {
  const { user, system } = process.cpuUsage();
  return { clock: performance.now() / 1000, processor: (user + system) / 1e6 };
}

/** Windows of tokens that a linear congruence draws: the same every time. */
function randomWindows(count: number): { readonly ids: Int32Array }[] {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % model.decoder.vocabulary;
  };
  return Array.from({ length: count }, () => ({ ids: Int32Array.from({ length: CONTEXT }, next) }));
}
