/**
 * `npm run bench:gpu`: measures what a GPU gives birdbone, and PyTorch on the same GPU: adapter, copies, matrix products, one
 * Mistral-7B-shaped block, the jobs on it, and from them the whole model. `--out FILE` takes the results as JSON (by default they go to
 * bench/results), `--tiny` shrinks everything for a GPU in software, `--stages a,b` picks stages. `npm run bench:gpu:pack` makes an
 * archive of all that it takes, for a machine without Node.js or network. Exit code 1 when a stage failed.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import { backend } from '@tensorflow/tfjs-core';
import { openDevice } from '../../src/tensor/index.js';
import { commit, machine } from '../machine.js';
import { writeSyntheticMistral } from '../synthetic-mistral.js';
import { adapter } from './adapter.js';
import { block } from './block.js';
import { copies } from './copies.js';
import { jobs } from './jobs.js';
import { products } from './products.js';
import { renderGpu } from './render.js';
import type { GpuResults } from './results.js';
import { FULL, TINY } from './sizes.js';
import type { Bench, Stage } from './stage.js';
import { measuredTiles } from './tiles.js';
import { torchSide } from './torch-side.js';
import { wholeJobs } from './whole-job.js';

const STAGES: Readonly<Record<string, Stage>> = { adapter, copies, products, block, jobs };

const { values } = parseArgs({
  options: {
    tiny: { type: 'boolean', default: false },
    out: { type: 'string' },
    stages: { type: 'string', default: Object.keys(STAGES).join(',') },
    torch: { type: 'boolean', default: true },
    folder: { type: 'string', default: tmpdir() },
  },
  allowNegative: true,
});
const names = values.stages.split(',');
const unknown = names.filter((name) => !Object.hasOwn(STAGES, name));
if (unknown.length > 0) throw new Error(`No stage ${unknown.join(', ')}. Stages: ${Object.keys(STAGES).join(', ')}.`);

const here = import.meta.dirname;
const sizes = values.tiny ? TINY : FULL;
const folder = await mkdtemp(path.join(values.folder, 'birdbone-gpu-'));
try {
  const results = await measure();
  const date = results.date;
  const out = values.out ?? path.join(here, '../results', `gpu-${date}-${results.commit}.json`);
  await mkdir(path.dirname(path.resolve(out)), { recursive: true });
  await writeFile(out, `${JSON.stringify(results, undefined, 2)}\n`);
  console.log(`\n${renderGpu(results)}\n\nkept in ${out}`);
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measure(): Promise<GpuResults> {
  const model = path.join(folder, 'model');
  await writeSyntheticMistral(model, { blocks: 1, shape: sizes.shape });
  // The GPU is PyTorch's alone first, and ours alone then.
  const torch = values.torch ? torchSide(here, sizes) : { missing: 'left out (--no-torch)' };
  const tuner = await measuredTiles();
  const device = await openDevice('webgpu', { tiles: tuner });
  try {
    const { device: gpu } = backend() as WebGPUBackend;
    const bench: Bench = { device, gpu, adapterInfo: gpu.adapterInfo, sizes, model, folder };
    const stages: Record<string, unknown> = {};
    for (const name of names) {
      console.error(name);
      stages[name] = await kept(STAGES[name]!, bench);
    }
    const found = stages as GpuResults['stages'];
    const made = { date: new Date().toISOString().slice(0, 10), commit: commit() };
    const { choices: tiles } = tuner;
    return { ...made, tiny: values.tiny, machine: machine(), stages: found, tiles, wholeJob: wholeJobs(found), torch };
  } finally {
    await device.close();
  }
}

/** What a stage found, or why it failed, which ends the program with 1 once the others have run. */
async function kept(stage: Stage, bench: Bench): Promise<unknown> {
  try {
    return await stage(bench);
  } catch (error) {
    process.exitCode = 1;
    console.error(error);
    return { failed: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
