import type { Device } from '../tensor/index.js';
import { apartAbove, batchesOf, type TokenBatch, tokensPerBatch } from './batches.js';
import type { Model } from './decoder.js';
import { embedBatches } from './embedding.js';
import { createHiddenStates, type HiddenStates, type StatesRoom } from './hidden-states.js';

/** Hidden states of batches before the first block: their embeddings. The caller closes them. */
export async function embeddedStates(
  model: Model,
  batches: readonly TokenBatch[],
  room: StatesRoom,
): Promise<HiddenStates> {
  const states = await createHiddenStates(batches, model.decoder.hidden, room);
  try {
    await embedBatches(model, states);
  } catch (error) {
    await states.close();
    throw error;
  }
  return states;
}

/** The same of windows of text, in batches as large as a forward pass takes. */
export function embeddedWindows(
  model: Model,
  windows: readonly { readonly ids: Int32Array }[],
  room: StatesRoom & { readonly device: Device },
): Promise<HiddenStates> {
  const longest = windows.reduce((length, { ids }) => Math.max(length, ids.length), 0);
  const batches = batchesOf(windows, tokensPerBatch(model.decoder, longest, room.device), apartAbove(model.decoder));
  return embeddedStates(model, batches, room);
}
