import type { Device } from '../tensor/index.js';
import type { TokenBatch } from './batches.js';
import type { Model } from './decoder.js';
import { embeddedStates } from './embedded-states.js';
import type { HiddenStates } from './hidden-states.js';
import { disposeBlock, loadBlock } from './loaded-block.js';
import { runBlock } from './passes.js';

export interface RunBlocksOptions {
  readonly device: Device;
  readonly memoryBytes: number;
  readonly spillFolder: string;
  readonly signal?: AbortSignal | undefined;
  /** Called with the tokens of each batch that went through a block. */
  readonly onTokens?: (tokens: number) => void;
}

/** The hidden states after the last block. One block's weights are resident at a time. The caller closes the states. */
export async function runBlocks(
  model: Model,
  batches: readonly TokenBatch[],
  options: RunBlocksOptions,
): Promise<HiddenStates> {
  const { device, signal } = options;
  const states = await embeddedStates(model, batches, options);
  try {
    for (const { index } of model.decoder.blocks) {
      const block = await loadBlock(model, index, device, { asStored: true });
      try {
        const onBatch = (done: number) => options.onTokens?.(batches[done - 1]!.ids.length);
        await runBlock(block, states, device, { store: true, onBatch, ...(signal && { signal }) });
      } finally {
        disposeBlock(block);
      }
    }
    return states;
  } catch (error) {
    await states.close();
    throw error;
  }
}
