import { disposeBlock, embeddedWindows, type HiddenStates, loadBlock, type Model, runBlock } from '../model/index.js';
import type { EditContext } from './edit.js';

/** The calibration windows' hidden states before the first block. The caller closes them. */
export function calibrationStates(
  context: Pick<EditContext, 'model' | 'device' | 'calibration' | 'memoryBytes' | 'spillFolder'>,
): Promise<HiddenStates> {
  const { model, device, calibration, memoryBytes, spillFolder } = context;
  return embeddedWindows(model, calibration, { device, memoryBytes, spillFolder });
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
