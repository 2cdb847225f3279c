import {
  apartAbove,
  batchesOf,
  createHiddenStates,
  disposeBlock,
  embedBatches,
  type HiddenStates,
  loadBlock,
  type Model,
  runBlock,
  tokensPerBatch,
} from '../model/index.js';
import type { EditContext } from './edit.js';

/** The calibration windows' hidden states before the first block. The caller closes them. */
export async function calibrationStates(
  context: Pick<EditContext, 'model' | 'device' | 'calibration' | 'memoryBytes' | 'spillFolder'>,
): Promise<HiddenStates> {
  const { model, device, calibration, memoryBytes, spillFolder } = context;
  const longest = calibration.reduce((length, passage) => Math.max(length, passage.ids.length), 0);
  const batches = batchesOf(calibration, tokensPerBatch(model.decoder, longest, device), apartAbove(model.decoder));
  const states = await createHiddenStates(batches, model.decoder.hidden, { memoryBytes, spillFolder });
  try {
    await embedBatches(model, states);
  } catch (error) {
    await states.close();
    throw error;
  }
  return states;
}

/** Replaces the hidden states by what a block of the model makes of them. */
export async function advanceStates(
  model: Model,
  index: number,
  states: HiddenStates,
  { device, signal }: Pick<EditContext, 'device' | 'signal'>,
): Promise<void> {
  const block = await loadBlock(model, index, device);
  try {
    await runBlock(block, states, device, { store: true, ...(signal && { signal }) });
  } finally {
    disposeBlock(block);
  }
}
