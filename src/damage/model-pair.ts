import {
  createHiddenStates,
  embedBatches,
  type HiddenStates,
  type Model,
  realPositions,
  type TokenBatch,
} from '../model/index.js';

/** Two models on their way through their blocks, beside each other. */
export interface ModelPair {
  readonly base: Model;
  readonly now: Model;
  /** What goes into the next block of each, and after it what came out. */
  readonly dense: HiddenStates;
  readonly own: HiddenStates;
  /** Room for what the compressed block makes of `dense`. */
  readonly crossed: HiddenStates;
  /** ‖x' − x‖ of the embeddings. */
  readonly embeddingError: number;
  close(): Promise<void>;
}

/** Embeds the batches in both models. The caller closes the pair. */
export async function openPair(
  base: Model,
  now: Model,
  batches: readonly TokenBatch[],
  { memoryBytes, spillFolder }: { readonly memoryBytes: number; readonly spillFolder: string },
): Promise<ModelPair> {
  const made: HiddenStates[] = [];
  const close = async () => {
    for (const states of made) await states.close();
  };
  const create = async () => {
    // A fourth part is for the batches that single matrices are tried on.
    const states = await createHiddenStates(batches, base.decoder.hidden, {
      memoryBytes: memoryBytes / 4,
      spillFolder,
    });
    made.push(states);
    return states;
  };
  try {
    const [dense, own, crossed] = [await create(), await create(), await create()];
    await embedBatches(base, dense);
    await embedBatches(now, own);
    return { base, now, dense, own, crossed, embeddingError: await distance(dense, own), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function distance(left: HiddenStates, right: HiddenStates): Promise<number> {
  const { hiddenSize: width } = left;
  let squares = 0;
  for (const [i, batch] of left.batches.entries()) {
    const [a, b] = [await left.load(i), await right.load(i)];
    for (const position of realPositions(batch)) {
      for (let at = position * width; at < (position + 1) * width; at += 1) squares += (a[at]! - b[at]!) ** 2;
    }
  }
  return Math.sqrt(squares);
}
