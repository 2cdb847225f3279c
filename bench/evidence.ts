/**
 * `tsx bench/evidence.ts MODEL KINDS WINDOWS CONTEXT`: collects evidence of a model's blocks on random tokens, and prints the seconds
 * of each block and the peak memory of the process as JSON. KINDS is `columns`, `gram`, `fisher` or `gradient,fisher`. A process of
 * its own for each, so that its peak is the work's. docs/evidence.md has the figures.
 */
import { loadavg, tmpdir } from 'node:os';
import { collectEvidence, collectGradients, type EvidenceKind, type GradientKind } from '../src/evidence/index.js';
import {
  batchesOf,
  createHiddenStates,
  disposeBlock,
  embedBatches,
  loadBlock,
  openModel,
  tokensPerBatch,
} from '../src/model/index.js';
import { seededRandom } from '../src/random.js';
import { openDevice } from '../src/tensor/index.js';
import { megabytes } from './machine.js';

const [folder, kinds, windows, context] = process.argv.slice(2) as [string, string, string, string];
const room = { memoryBytes: 2 ** 30, spillFolder: tmpdir() };
const load = loadavg()[0]!;
const model = await openModel(folder);
const device = await openDevice('cpu');
const random = seededRandom(1);
const calibration = Array.from({ length: Number(windows) }, () => ({
  ids: Int32Array.from({ length: Number(context) }, () => random.below(model.decoder.vocabulary)),
}));
const started = performance.now();
const seconds = kinds === 'columns' || kinds === 'gram' ? await forward() : await backward();
const total = (performance.now() - started) / 1000;
await device.close();
await model.checkpoint.close();
const peakBytes = 1024 * process.resourceUsage().maxRSS;
console.log(JSON.stringify({ kinds, windows, context, load, seconds, total, peak: megabytes(peakBytes) }));

/** Each block's evidence, in the pass that also carries the hidden states on. */
async function forward(): Promise<number[]> {
  const wanted = new Set<EvidenceKind>(kinds === 'gram' ? ['gram'] : ['norms', 'moments', 'abs-means']);
  const batches = batchesOf(calibration, tokensPerBatch(model.decoder, Number(context), device));
  const states = await createHiddenStates(batches, model.decoder.hidden, room);
  await embedBatches(model, states);
  const found: number[] = [];
  for (const { index } of model.decoder.blocks) {
    const start = performance.now();
    const block = await loadBlock(model, index, device);
    const evidence = await collectEvidence(block, states, wanted, { device, store: true });
    evidence.dispose();
    disposeBlock(block);
    found.push((performance.now() - start) / 1000);
  }
  await states.close();
  return found;
}

/** From the end of the block before; the first figure has the forward pass and the head in it. */
async function backward(): Promise<number[]> {
  const found: number[] = [];
  let last = performance.now();
  const wanted = new Set(kinds.split(',') as GradientKind[]);
  for await (const _ of collectGradients(model, calibration, wanted, { device, ...room })) {
    found.push((performance.now() - last) / 1000);
    last = performance.now();
  }
  return found;
}
