import type { Tensor2D } from '@tensorflow/tfjs-core';
import {
  applyNorm,
  disposeNorm,
  type HeadSection,
  type HiddenStates,
  loadFinalNorm,
  loadHead,
  type Model,
  type Norm,
  stateRows,
} from '../model/index.js';
import { type Device, disposeMatrix, type HiddenAndHead, type Matrix } from '../tensor/index.js';

/** A model that went through its blocks: what came out, and what is still to come. */
export interface Finished {
  readonly model: Model;
  readonly states: HiddenStates;
  readonly norm: Norm;
}

/** Takes over the hidden states after a model's last block: they are closed when this fails, and by `disposeFinished`. */
export async function finishedModel(model: Model, states: HiddenStates, device: Device): Promise<Finished> {
  try {
    return { model, states, norm: await loadFinalNorm(model, device) };
  } catch (error) {
    await states.close();
    throw error;
  }
}

export async function disposeFinished({ states, norm }: Finished): Promise<void> {
  disposeNorm(norm);
  await states.close();
}

/** Calls `use` with this section of every model's head on the device, and takes them off it again. */
export async function withHeads(
  models: readonly Finished[],
  section: HeadSection,
  device: Device,
  use: (heads: readonly Matrix[]) => Promise<void>,
): Promise<void> {
  const heads: Matrix[] = [];
  try {
    for (const { model } of models) heads.push(await loadHead(model, device, section, { asStored: true }));
    await use(heads);
  } finally {
    heads.forEach(disposeMatrix);
  }
}

/** Calls `use` with what each head multiplies for these positions of batch `index`, beside that head. */
export async function withNormedRows(
  models: readonly Finished[],
  heads: readonly Matrix[],
  { index, positions, device }: { readonly index: number; readonly positions: Int32Array; readonly device: Device },
  use: (sides: readonly HiddenAndHead[]) => Promise<void>,
): Promise<void> {
  const sides: HiddenAndHead[] = [];
  try {
    for (const [side, { model, norm, states }] of models.entries()) {
      const rows = await stateRows(states, index, positions, device);
      const hidden = normed(norm, rows);
      sides.push({ hidden, head: heads[side]!, softcap: model.decoder.finalSoftcap });
    }
    await use(sides);
  } finally {
    for (const { hidden } of sides) hidden.dispose();
  }
}

/** Disposes the rows. */
function normed(norm: Norm, rows: Tensor2D): Tensor2D {
  try {
    return applyNorm(norm, rows);
  } finally {
    rows.dispose();
  }
}
