import { dispose, type Tensor2D } from '@tensorflow/tfjs-core';
import {
  applyFinalNorm,
  type FinalNorm,
  type HiddenStates,
  loadFinalNorm,
  loadHead,
  type Model,
} from '../model/index.js';
import { type Device, disposeMatrix, type Matrix } from '../tensor/index.js';
import { rowsAt } from './predictions.js';

/** What comes after a model's last block, on the device: the final norm and the head. */
export interface OutputLayer {
  readonly norm: FinalNorm;
  readonly head: Matrix;
}

export async function loadOutputLayer(model: Model, device: Device): Promise<OutputLayer> {
  const norm = await loadFinalNorm(model, device);
  try {
    return { norm, head: await loadHead(model, device) };
  } catch (error) {
    dispose(norm.gain);
    throw error;
  }
}

export function disposeOutputLayer({ norm, head }: OutputLayer): void {
  dispose(norm.gain);
  disposeMatrix(head);
}

/** What the head multiplies, [positions, hidden], for these positions of batch `index`. The caller disposes it. */
export async function normedRows(
  layer: OutputLayer,
  states: HiddenStates,
  at: { readonly index: number; readonly positions: Int32Array },
  device: Device,
): Promise<Tensor2D> {
  const rows = rowsAt(await states.load(at.index), at.positions, states.hiddenSize);
  const hidden = device.upload(rows, [at.positions.length, states.hiddenSize]) as Tensor2D;
  try {
    return applyFinalNorm(layer.norm, hidden);
  } finally {
    hidden.dispose();
  }
}
