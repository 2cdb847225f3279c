import {
  createHiddenStates,
  disposeBlock,
  embedBatches,
  type HiddenStates,
  type LoadedBlock,
  loadBlock,
  type Model,
  runBlock,
  type TokenBatch,
} from '../model/index.js';
import type { Device } from '../tensor/index.js';

/** Where hidden states may lie, and who may stop the work. */
export interface PassContext {
  readonly device: Device;
  /** What all hidden states together may take in memory; the rest goes to files in `spillFolder`. */
  readonly memoryBytes: number;
  readonly spillFolder: string;
  readonly signal?: AbortSignal;
  /** Called after each block of the forward pass and of the backward pass. */
  readonly onBlock?: (done: number, total: number) => void;
}

/** Calls `use` with a block that is on the device as long as that takes. */
export type UseBlock = <Result>(index: number, use: (block: LoadedBlock) => Promise<Result>) => Promise<Result>;

/** The blocks as they are stored, each loaded for one use. */
export function storedBlocks(model: Model, device: Device): UseBlock {
  return async (index, use) => {
    const block = await loadBlock(model, index, device);
    try {
      return await use(block);
    } finally {
      disposeBlock(block);
    }
  };
}

/**
 * The hidden states that a backward pass needs: what went into each block and what came out of the last, and the loss's
 * gradient with respect to them. A state that does not fit into what is left of the memory is spilled.
 */
export class BlockInputs {
  readonly #states: HiddenStates[];
  /** dL/d(hidden) of every batch, at the block that the backward pass has come to. */
  readonly gradients: HiddenStates;

  private constructor(states: HiddenStates[], gradients: HiddenStates) {
    this.#states = states;
    this.gradients = gradients;
  }

  /** Runs the batches forward through the whole model; unless `blocks` says otherwise, one block's weights are resident. */
  static async of(
    model: Model,
    batches: readonly TokenBatch[],
    context: PassContext,
    blocks: UseBlock = storedBlocks(model, context.device),
  ): Promise<BlockInputs> {
    const { hidden } = model.decoder;
    const total = model.decoder.blocks.length;
    const bytes = batches.reduce((sum, { ids }) => sum + 4 * ids.length * hidden, 0);
    let memoryBytes = context.memoryBytes;
    const states: HiddenStates[] = [];
    const create = async () => {
      const made = await createHiddenStates(batches, hidden, { memoryBytes, spillFolder: context.spillFolder });
      if (!made.spilled) memoryBytes -= bytes;
      return made;
    };
    // First in line for memory: every block loads and stores it.
    const gradients = await create();
    const inputs = new BlockInputs(states, gradients);
    try {
      states.push(await create());
      await embedBatches(model, states[0]!);
      for (let index = 0; index < total; index += 1) {
        states.push(await create());
        await blocks(index, (block) => runInto(states[index]!, states[index + 1]!, block, context));
        context.onBlock?.(index + 1, 2 * total);
      }
      return inputs;
    } catch (error) {
      await inputs.close();
      throw error;
    }
  }

  /** What went into block `index`, or came out of the last when that many blocks there are. */
  before(index: number): HiddenStates {
    const states = this.#states[index];
    if (states === undefined) throw new RangeError(`the inputs of block ${index} are gone`);
    return states;
  }

  /** Drops what lies behind block `index`: the backward pass will not come back. */
  async forget(index: number): Promise<void> {
    for (const states of this.#states.splice(index)) await states.close();
  }

  async close(): Promise<void> {
    await this.forget(0);
    await this.gradients.close();
  }
}

async function runInto(
  from: HiddenStates,
  into: HiddenStates,
  block: LoadedBlock,
  { device, signal }: PassContext,
): Promise<void> {
  await runBlock(block, from, device, { store: (i, values) => into.store(i, values), ...(signal && { signal }) });
}
