import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Event, silent } from '../../src/events.js';
import { openModel } from '../../src/model/index.js';
import { Marks } from '../../src/plates/index.js';
import { type Edit, pruneEdit } from '../../src/pruning/index.js';
import { quantizeEdit } from '../../src/quantizing/index.js';
import { ObjectStore, StoredLayerWriter } from '../../src/store/index.js';
import type { Bench, Stage } from './stage.js';
import { randomWindows } from './windows.js';

/** A job of birdbone's own, as a run does it: read, forward, evidence, solve, write the layer to the disk. */
const JOBS: Readonly<Record<string, () => Promise<Edit>>> = {
  wanda: () => pruneEdit({ metric: 'wanda', pattern: 'unstructured', sparsity: 0.5 }),
  sparsegpt: () => pruneEdit({ metric: 'wanda', pattern: 'unstructured', sparsity: 0.5, solver: 'sparsegpt' }),
  gptq: () => quantizeEdit({ scheme: 'int4', groupSize: 128, algorithm: 'gptq' }, 'compressed-tensors'),
  rtn: () => quantizeEdit({ scheme: 'int4', groupSize: 128 }, 'compressed-tensors'),
};

/** Seconds of each job on one block, for each number of windows; a job that fails says why, and the others go on. */
export const jobs: Stage = async (bench) => {
  const found: Record<string, unknown> = {};
  for (const [name, edit] of Object.entries(JOBS)) {
    try {
      found[name] = await timeJob(bench, await edit());
    } catch (error) {
      found[name] = { failed: String(error) };
    }
  }
  return found;
};

async function timeJob(bench: Bench, edit: Edit) {
  const { sizes } = bench;
  const counts = edit.needsCalibration ? sizes.windows : [0];
  // Shaders are compiled, and tiles chosen, once in a run: not what a block costs.
  await propose(bench, edit, counts[0]!);
  const runs = [];
  for (const windows of counts) {
    const start = performance.now();
    const cpu = process.cpuUsage();
    const notices = await propose(bench, edit, windows);
    const { user, system } = process.cpuUsage(cpu);
    const seconds = (performance.now() - start) / 1000;
    runs.push({ windows, tokens: windows * sizes.context, seconds, cpuSeconds: (user + system) / 1e6, notices });
  }
  return { runs };
}

/** One wave over all blocks of the model, which has one; returns what it had to say. */
async function propose({ device, model: at, folder, sizes }: Bench, edit: Edit, windows: number): Promise<string[]> {
  const state = path.join(folder, 'state');
  await mkdir(state, { recursive: true });
  const model = await openModel(at);
  const notices: string[] = [];
  const report = (event: Event) => {
    if (event.type === 'notice') notices.push(event.message);
    else silent(event);
  };
  try {
    const layer = { wave: 1, plan: edit.plan(model), before: { checkpoint: model.checkpoint, layers: [] } };
    const writer = new StoredLayerWriter(new ObjectStore(path.join(state, 'objects')), layer);
    await edit.propose({
      model,
      device,
      target: edit.target,
      calibration: randomWindows(windows, sizes.context, model.decoder.vocabulary),
      marks: Marks.none,
      spared: Marks.none,
      memoryBytes: 64 * 2 ** 30,
      spillFolder: state,
      report,
      writer,
    });
    await writer.commit();
    return notices;
  } finally {
    await model.checkpoint.close();
    await rm(state, { recursive: true, force: true });
  }
}
