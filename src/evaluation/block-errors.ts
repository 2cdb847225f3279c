import { tmpdir } from 'node:os';
import type { Passage } from '../corpus/index.js';
import { stopIfAborted } from '../errors.js';
import { type Report, silent } from '../events.js';
import {
  apartAbove,
  batchesOf,
  DEFAULT_MEMORY_BYTES,
  disposeBlock,
  embeddedStates,
  type HiddenStates,
  loadBlock,
  type Model,
  realPositions,
  runBlock,
  type TokenBatch,
  tokensPerBatch,
} from '../model/index.js';
import type { Device } from '../tensor/index.js';

export interface BlockErrorOptions {
  readonly device: Device;
  /** Gets `progress` events of the stage "compare", in blocks. */
  readonly report?: Report | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Hidden states of both models above this go to files in `spillFolder`. */
  readonly memoryBytes?: number | undefined;
  readonly spillFolder?: string | undefined;
}

/**
 * How far each block's output is from the base model's on the same passages: ‖H' − H‖_F / ‖H‖_F over all real tokens, for the
 * hidden states H after each block, in f64. Each model's blocks see what its own blocks before have made, so errors come in where
 * a block's is larger than that of the block before. NaN for a block whose output is not finite. Both models go block by block
 * beside each other, with one block resident.
 */
export async function blockErrors(
  base: Model,
  now: Model,
  passages: readonly Passage[],
  options: BlockErrorOptions,
): Promise<readonly number[]> {
  const { device, signal, report = silent } = options;
  const longest = passages.reduce((length, { ids }) => Math.max(length, ids.length), 0);
  const batches = batchesOf(passages, tokensPerBatch(base.decoder, longest, device), apartAbove(base.decoder));
  const total = base.decoder.blocks.length;
  const errors: number[] = [];
  const sides: Side[] = [];
  try {
    for (const model of [base, now]) sides.push(await begin(model, batches, options));
    for (let index = 0; index < total; index += 1) {
      stopIfAborted(signal);
      for (const side of sides) await advance(side, index, options);
      errors.push(await relativeError(sides[0]!.states, sides[1]!.states));
      report({ type: 'progress', stage: 'compare', done: index + 1, total, unit: 'blocks' });
    }
    return errors;
  } finally {
    for (const { states } of sides) await states.close();
  }
}

/** A model on its way through its blocks. */
interface Side {
  readonly model: Model;
  readonly states: HiddenStates;
}

async function begin(model: Model, batches: readonly TokenBatch[], options: BlockErrorOptions): Promise<Side> {
  const { memoryBytes = DEFAULT_MEMORY_BYTES, spillFolder = tmpdir() } = options;
  return { model, states: await embeddedStates(model, batches, { memoryBytes: memoryBytes / 2, spillFolder }) };
}

async function advance({ model, states }: Side, index: number, { device, signal }: BlockErrorOptions): Promise<void> {
  const block = await loadBlock(model, index, device, { asStored: true });
  try {
    await runBlock(block, states, device, { store: true, ...(signal && { signal }) });
  } finally {
    disposeBlock(block);
  }
}

async function relativeError(base: HiddenStates, now: HiddenStates): Promise<number> {
  let difference = 0;
  let size = 0;
  for (const [index, batch] of base.batches.entries()) {
    const [before, after] = [await base.load(index), await now.load(index)];
    for (const position of realPositions(batch)) {
      const end = (position + 1) * base.hiddenSize;
      for (let at = position * base.hiddenSize; at < end; at += 1) {
        difference += (after[at]! - before[at]!) ** 2;
        size += before[at]! ** 2;
      }
    }
  }
  if (difference === 0) return 0;
  // Of an output that was zero everything is off.
  return size === 0 && Number.isFinite(difference) ? 1 : Math.sqrt(difference / size);
}
