import { gather, reshape, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import type { Device } from '../tensor/index.js';
import type { HiddenStates } from './hidden-states.js';

/**
 * These positions of batch i on the device, [positions, hiddenSize], for the caller to dispose. Where the batch stays there nothing
 * travels; else what is at other positions does not.
 */
export async function stateRows(
  states: HiddenStates,
  i: number,
  positions: Int32Array,
  device: Device,
): Promise<Tensor2D> {
  const held = states.onDevice(i);
  const { hiddenSize } = states;
  if (held !== undefined) return tidy(() => gather(reshape(held, [-1, hiddenSize]), positions)) as Tensor2D;
  const rows = rowsAt(await states.load(i), positions, hiddenSize);
  return device.upload(rows, [positions.length, hiddenSize]) as Tensor2D;
}

/** The rows of values [positions, width] at the given positions, copied. */
export function rowsAt(values: Float32Array, positions: Int32Array, width: number): Float32Array {
  const rows = new Float32Array(positions.length * width);
  // Positions come in runs, a run for each row of the batch: one copy a run.
  for (let start = 0; start < positions.length; ) {
    let end = start + 1;
    while (end < positions.length && positions[end] === positions[end - 1]! + 1) end++;
    const first = positions[start]! * width;
    rows.set(values.subarray(first, first + (end - start) * width), start * width);
    start = end;
  }
  return rows;
}
