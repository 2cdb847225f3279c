import { median } from 'simple-statistics';
import { collectEvidence } from '../../src/evidence/index.js';
import {
  batchesOf,
  createHiddenStates,
  disposeBlock,
  embedBatches,
  type HiddenStates,
  type LoadedBlock,
  loadBlock,
  type Model,
  openModel,
  runBlock,
  tokensPerBatch,
} from '../../src/model/index.js';
import type { Device } from '../../src/tensor/index.js';
import type { Bench, Stage } from './stage.js';
import { timed } from './stage.js';
import { randomWindows } from './windows.js';

/** Hidden states that do not stay on the GPU stay in memory here: no disk in these figures. */
const STATES_BYTES = 64 * 2 ** 30;

/** Seconds of one block: to read, widen and copy it to the GPU, to send windows through, to add up their Gram matrices. */
export const block: Stage = async (bench) => {
  const { device, sizes } = bench;
  const model = await openModel(bench.model);
  try {
    const load = await timed(sizes.rounds, async () => {
      const loaded = await loadBlock(model, 0, device, { asStored: true });
      await device.read([...loaded.norms.values()].at(-1)!.gain);
      disposeBlock(loaded);
    });
    const windows = [];
    for (const count of sizes.windows) windows.push(await overWindows(bench, model, count));
    return { loadSeconds: median(load), weights: weightsOf(model), windows };
  } finally {
    await model.checkpoint.close();
  }
};

function weightsOf({ decoder }: Model): number {
  return decoder.blocks[0]!.linears.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
}

/**
 * The pass of an evaluation, with weights in 16 bits where the device multiplies by them, and that of a solver, which adds up the
 * Gram matrix of every input and has its weights in f32; that with sums that stay on the GPU, and with each batch's read and added up
 * on the host.
 */
async function overWindows(bench: Bench, model: Model, count: number) {
  const { device, sizes } = bench;
  const states = await statesOf(bench, model, count);
  try {
    const forward = await withBlock(bench, model, true, (loaded) =>
      // What comes out goes in again, and stays on the GPU as in a run: a pass ends when its last batch is there.
      timed(sizes.rounds, () => runBlock(loaded, states, device, { store: true })),
    );
    const { sums: _, ...readByBatch } = device;
    const [gram, gramByBatch] = await withBlock(bench, model, false, async (loaded) => {
      const collect = async (on: Device) => {
        const evidence = await collectEvidence(loaded, states, new Set(['gram']), { device: on });
        evidence.dispose();
      };
      // The first compiles, and has the tuner measure tiles.
      await collect(device);
      return [await timed(1, () => collect(device)), await timed(1, () => collect(readByBatch))];
    });
    const tokens = count * sizes.context;
    const kept = { bytes: 4 * tokens * states.hiddenSize, resident: states.residentBytes };
    const gramSeconds = { gramSeconds: median(gram), gramByBatchSeconds: median(gramByBatch) };
    return { windows: count, tokens, forwardSeconds: median(forward), ...gramSeconds, states: kept };
  } finally {
    await states.close();
  }
}

async function withBlock<T>(
  { device }: Bench,
  model: Model,
  asStored: boolean,
  use: (loaded: LoadedBlock) => Promise<T>,
): Promise<T> {
  const loaded = await loadBlock(model, 0, device, { asStored });
  try {
    return await use(loaded);
  } finally {
    disposeBlock(loaded);
  }
}

async function statesOf({ device, sizes, folder }: Bench, model: Model, count: number): Promise<HiddenStates> {
  const { decoder } = model;
  const passages = randomWindows(count, sizes.context, decoder.vocabulary);
  const batches = batchesOf(passages, tokensPerBatch(decoder, sizes.context, device));
  const room = { device, memoryBytes: STATES_BYTES, spillFolder: folder };
  const states = await createHiddenStates(batches, decoder.hidden, room);
  await embedBatches(model, states);
  return states;
}
