import { BirdboneError } from '../errors.js';
import { apartAbove, batchesOf, type Model, type TokenBatch, tokensPerBatch } from '../model/index.js';
import { type Device, enableGradients } from '../tensor/index.js';
import { backwardBlock } from './backward-block.js';
import { BlockInputs, type PassContext, storedBlocks } from './block-inputs.js';
import type { BlockGradients } from './gradient-evidence.js';
import { GradientSums } from './gradient-sums.js';
import { startBackward } from './head-gradient.js';
import type { GradientKind } from './kinds.js';
import { predictionsOf } from './predictions.js';

/**
 * Yields every block's gradients, from the last block to the first. The model runs forward once, keeping what goes into each
 * block (spilled to disk above `memoryBytes`), and then backward block by block, each recomputed from its input: one block's
 * weights, its gradients and one batch's activations are there at a time. Fisher takes the windows one by one, as it squares each
 * one's gradient. Windows of a single token predict nothing and do not count; throws `usage` when there are no others.
 *
 * @example
 * for await (const { block, weights } of collectGradients(model, windows, new Set(['fisher']), context)) {
 *   const { fisher } = weights.get('model.layers.3.mlp.up_proj.weight')!;
 * }
 */
export async function* collectGradients(
  model: Model,
  calibration: readonly { readonly ids: Int32Array }[],
  kinds: ReadonlySet<GradientKind>,
  context: PassContext,
): AsyncGenerator<BlockGradients> {
  await enableGradients();
  const { device, signal } = context;
  const batches = gradientBatches(model, calibration, kinds, device);
  const counts = batches.map((batch) => predictionsOf(batch).positions.length);
  const total = model.decoder.blocks.length;
  const blocks = storedBlocks(model, device);
  const inputs = await BlockInputs.of(model, batches, context, blocks);
  try {
    await startBackward(model, inputs, context);
    await inputs.forget(total);
    for (let index = total - 1; index >= 0; index -= 1) {
      const sums = await blocks(index, async (block) => {
        const started = new GradientSums(block, kinds, counts);
        await backwardBlock(block, inputs, { device, ...(signal && { signal }) }, (i, found) =>
          started.add(i, found, device),
        );
        return started;
      });
      await inputs.forget(index);
      context.onBlock?.(2 * total - index, 2 * total);
      yield { block: index, weights: sums.finish() };
    }
  } finally {
    await inputs.close();
  }
}

/** One window a batch where each one's gradient is squared; else as many as a forward pass takes. */
function gradientBatches(
  model: Model,
  calibration: readonly { readonly ids: Int32Array }[],
  kinds: ReadonlySet<GradientKind>,
  device: Device,
): TokenBatch[] {
  const windows = calibration.filter(({ ids }) => ids.length > 1);
  if (windows.length === 0) {
    throw new BirdboneError(
      'usage',
      `None of the ${calibration.length} calibration windows has two tokens: gradients are of the loss at predicting the next one.`,
      { suggestions: ['Give more text: --calibration FILE', 'Use longer windows: --context 256'] },
    );
  }
  const longest = windows.reduce((length, { ids }) => Math.max(length, ids.length), 0);
  const maxTokens = kinds.has('fisher') ? 1 : tokensPerBatch(model.decoder, longest, device);
  return batchesOf(windows, maxTokens, apartAbove(model.decoder));
}
