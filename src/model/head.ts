import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { readFloats } from '../checkpoint/index.js';
import { type Device, type Matrix, rmsNorm } from '../tensor/index.js';
import type { Model } from './decoder.js';
import { loadMatrix } from './matrix-loading.js';

/** The norm between the last block and the head; `gain` [hidden] is on the device and the holder's to dispose. */
export interface FinalNorm {
  readonly gain: Tensor1D;
  readonly epsilon: number;
}

export async function loadFinalNorm(model: Model, device: Device): Promise<FinalNorm> {
  const { finalNorm, hidden, normEpsilon } = model.decoder;
  const gain = device.upload(await readFloats(model.checkpoint, finalNorm), [hidden]) as Tensor1D;
  return { gain, epsilon: normEpsilon };
}

/** hidden [n, hidden] after the last block → [n, hidden], what the head multiplies. */
export function applyFinalNorm(norm: FinalNorm, hidden: Tensor2D): Tensor2D {
  return rmsNorm(hidden, norm.gain, norm.epsilon);
}

/**
 * The output head [vocabulary, hidden] on the device, the embedding's own tensor when they are tied; disposed by
 * `disposeMatrix`.
 */
export function loadHead(model: Model, device: Device): Promise<Matrix> {
  const { head, vocabulary, hidden } = model.decoder;
  return loadMatrix(model.checkpoint, head, { rows: vocabulary, columns: hidden }, device);
}
