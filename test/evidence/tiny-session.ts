import { rmSync } from 'node:fs';
import {
  batchesOf,
  createHiddenStates,
  disposeBlock,
  embedBatches,
  type HiddenStates,
  loadBlock,
  type Model,
  openModel,
  runBlock,
} from '../../src/model/index.js';
import type { Device } from '../../src/tensor/index.js';
import { type TinyModel, uniform, writeTinyModel } from '../reference/tiny-model.js';

/** A tiny random checkpoint on disk, opened, and text for it. */
export interface TinySession {
  readonly reference: TinyModel;
  readonly model: Model;
  readonly sequences: readonly Int32Array[];
  close(): Promise<void>;
}

export async function tinySession(reference: TinyModel, lengths: readonly number[]): Promise<TinySession> {
  const folder = writeTinyModel(reference);
  const model = await openModel(folder);
  const random = uniform(7);
  const sequences = lengths.map((length) =>
    Int32Array.from({ length }, () => Math.floor(reference.config.vocab_size * random())),
  );
  return {
    reference,
    model,
    sequences,
    close: async () => {
      await model.checkpoint.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** The hidden states before block `index`, in batches of at most `maxTokens`. */
export async function statesBefore(
  { model, sequences }: TinySession,
  index: number,
  device: Device,
  maxTokens: number,
): Promise<HiddenStates> {
  const batches = batchesOf(
    sequences.map((ids) => ({ ids })),
    maxTokens,
  );
  const states = await createHiddenStates(batches, model.decoder.hidden, { memoryBytes: 2 ** 24, spillFolder: '' });
  await embedBatches(model, states);
  for (let before = 0; before < index; before++) {
    const block = await loadBlock(model, before, device);
    await runBlock(block, states, device, { store: true });
    disposeBlock(block);
  }
  return states;
}
