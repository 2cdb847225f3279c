import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { overlay } from '../../src/checkpoint/index.js';
import { readCalibration, readPassages } from '../../src/corpus/index.js';
import { type Figures, scorePassages, summarize } from '../../src/evaluation/index.js';
import { loadTokenizer, type Model, openModel, withCheckpoint } from '../../src/model/index.js';
import { Marks } from '../../src/plates/index.js';
import { pruneEdit } from '../../src/pruning/index.js';
import { ObjectStore, openStoredLayer, type StoredLayer, StoredLayerWriter } from '../../src/store/index.js';
import type { Device } from '../../src/tensor/index.js';

/** A model's figures at one sparsity; 0 is the dense model. */
export interface Measured {
  readonly sparsity: number;
  readonly figures: Pick<Figures, 'perplexity' | 'accuracy' | 'tokens'>;
}

const MEMORY_BYTES = 2 ** 30;
const CALIBRATION_WINDOWS = 128;

/**
 * Figures of a written model folder on its own evaluation.txt (protocol "windows"), dense and pruned in one shot by Wanda on
 * its own calibration.txt, with the library's own pruning and evaluation.
 */
export async function measureFolder(
  folder: string,
  sparsities: readonly number[],
  device: Device,
): Promise<Measured[]> {
  const work = await mkdtemp(path.join(tmpdir(), 'fledgling-'));
  const model = await openModel(folder);
  try {
    const read = {
      protocol: 'windows',
      context: model.decoder.maxContext,
      maxContext: model.decoder.maxContext,
    } as const;
    const tokenizer = await loadTokenizer(folder);
    const { passages } = await readPassages(path.join(folder, 'evaluation.txt'), tokenizer, read);
    const settings = { device, memoryBytes: MEMORY_BYTES, spillFolder: work };
    const figuresOf = async (candidate: Model) =>
      summarize((await scorePassages(candidate, passages, settings)).scores, { seed: 0 });
    const measured: Measured[] = [{ sparsity: 0, figures: await figuresOf(model) }];
    const calibration = await readCalibration(path.join(folder, 'calibration.txt'), tokenizer, {
      ...read,
      windows: CALIBRATION_WINDOWS,
    });
    for (const sparsity of sparsities) {
      const layer = await wandaLayer(sparsity, { model, calibration: calibration.passages, ...settings });
      const candidate = withCheckpoint(model, overlay(model.checkpoint, [layer]));
      measured.push({ sparsity, figures: await figuresOf(candidate) });
    }
    return measured;
  } finally {
    await model.checkpoint.close();
    await rm(work, { recursive: true });
  }
}

/** The layer of one wave over the dense model, in a store in the spill folder. */
async function wandaLayer(
  target: number,
  context: {
    model: Model;
    device: Device;
    calibration: readonly { readonly ids: Int32Array }[];
    memoryBytes: number;
    spillFolder: string;
  },
): Promise<StoredLayer> {
  const edit = await pruneEdit({ metric: 'wanda', pattern: 'unstructured', sparsity: target });
  const { model } = context;
  const store = new ObjectStore(path.join(context.spillFolder, 'objects'));
  const before = { checkpoint: model.checkpoint, layers: [] };
  const writer = new StoredLayerWriter(store, { wave: 1, plan: edit.plan(model), before });
  await edit.propose({ ...context, target, writer, marks: Marks.none, spared: Marks.none, report: () => {} });
  return openStoredLayer(store, (await writer.commit()).id);
}
