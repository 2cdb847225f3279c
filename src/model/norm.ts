import { dispose, type Tensor1D, type Tensor2D } from '@tensorflow/tfjs-core';
import { type Checkpoint, readFloats } from '../checkpoint/index.js';
import { type Device, layerNorm, rmsNorm } from '../tensor/index.js';
import type { NormKind } from './decoder.js';

/** A norm's vectors on the device, and how it is computed. */
export interface Norm {
  readonly kind: NormKind;
  readonly epsilon: number;
  /** What the normed values are multiplied by; for `rms-plus-one` that is 1 + what is stored. */
  readonly gain: Tensor1D;
  readonly bias?: Tensor1D;
}

/** x [n, width] → [n, width]. */
export function applyNorm({ kind, epsilon, gain, bias }: Norm, x: Tensor2D): Tensor2D {
  return kind === 'layer' ? layerNorm(x, { gain, epsilon, ...(bias && { bias }) }) : rmsNorm(x, gain, epsilon);
}

/** Uploads a stored vector as it is. */
export async function loadVector(checkpoint: Checkpoint, name: string, device: Device): Promise<Tensor1D> {
  const values = await readFloats(checkpoint, name);
  return device.upload(values, [values.length]) as Tensor1D;
}

/** Uploads a norm's vectors. The caller disposes them (`disposeNorm`). */
export async function loadNorm(
  checkpoint: Checkpoint,
  names: { readonly gain: string; readonly bias?: string | undefined },
  { kind, epsilon }: { readonly kind: NormKind; readonly epsilon: number },
  device: Device,
): Promise<Norm> {
  const stored = await readFloats(checkpoint, names.gain);
  // In float32, as Gemma's own code adds it.
  const values = kind === 'rms-plus-one' ? stored.map((value) => 1 + value) : stored;
  const gain = device.upload(values, [values.length]) as Tensor1D;
  if (names.bias === undefined) return { kind, epsilon, gain };
  try {
    return { kind, epsilon, gain, bias: await loadVector(checkpoint, names.bias, device) };
  } catch (error) {
    gain.dispose();
    throw error;
  }
}

export function disposeNorm({ gain, bias }: Norm): void {
  dispose(bias === undefined ? [gain] : [gain, bias]);
}
