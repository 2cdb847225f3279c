import { clone, slice, type Tensor3D } from '@tensorflow/tfjs-core';
import type { Device } from '../tensor/index.js';
import type { TokenBatch } from './batches.js';

/** So many batches are asked for before the device is waited for: a stop and progress are never further from what is done. */
const BATCHES_AHEAD = 16;

/** The first batches of some hidden states, as tensors that stay on the device between blocks. */
export interface ResidentStates {
  readonly count: number;
  readonly bytes: number;
  /** Batch i; undefined before it was stored. The states' own: not to be disposed. */
  get(i: number): Tensor3D | undefined;
  /** Takes a tensor that stays the caller's in place of what was there. */
  set(i: number, values: Tensor3D): Promise<void>;
  drop(): void;
}

/**
 * Empty places on the device for as many batches, from the first on, as its room for resident tensors has left. Which they are follows
 * from sizes alone and stays so until they are closed, when the room is given back.
 */
export function residentStates(batches: readonly TokenBatch[], hiddenSize: number, device: Device): ResidentStates {
  const sizes = batches.map(({ rows, columns }) => 4 * rows * columns * hiddenSize);
  const { resident } = device;
  const count = resident?.takeFirst(sizes) ?? 0;
  const bytes = sizes.slice(0, count).reduce((sum, size) => sum + size, 0);
  const tensors: (Tensor3D | undefined)[] = [];
  let isOpen = true;
  return {
    count,
    bytes,
    get: (i) => tensors[i],
    async set(i, values) {
      tensors[i]?.dispose();
      // Of the same values: no copy is made.
      tensors[i] = clone(values);
      if ((i + 1) % BATCHES_AHEAD === 0 || i + 1 === count) await settled(values, device);
    },
    drop() {
      for (const tensor of tensors.splice(0)) tensor?.dispose();
      if (isOpen) resident?.giveBack(bytes);
      isOpen = false;
    },
  };
}

/** Waits until a tensor is there, by one of its values: what the device reports of it, it has reported then. */
async function settled(values: Tensor3D, device: Device): Promise<void> {
  const one = slice(values, [0, 0, 0], [1, 1, 1]);
  try {
    await device.read(one);
  } finally {
    one.dispose();
  }
}
