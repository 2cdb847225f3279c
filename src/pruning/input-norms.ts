import { add, dispose, keep, sqrt, type Tensor1D, tidy } from '@tensorflow/tfjs-core';
import { type HiddenStates, type LinearInput, type LoadedBlock, runBlock } from '../model/index.js';
import type { Device } from '../tensor/index.js';
import { columnSquares } from '../tensor/index.js';

export interface PassOptions {
  readonly device: Device;
  readonly signal?: AbortSignal;
  readonly onBatch?: (done: number) => void;
}

/** ‖X_j‖₂ over all calibration tokens for each input column of a block's linears, by input; the caller disposes them. */
export type InputNorms = ReadonlyMap<LinearInput, Tensor1D>;

/**
 * Runs the calibration windows through one block as it is and returns the norms of its linears' inputs. Linears that share
 * an input (q, k, v; gate, up) share its norms. The hidden states are left as they were.
 */
export async function inputNorms(block: LoadedBlock, states: HiddenStates, options: PassOptions): Promise<InputNorms> {
  const squares = new Map<LinearInput, Tensor1D>();
  await runBlock(block, states, options.device, {
    store: false,
    observe: (input, values) => {
      const before = squares.get(input);
      const sum = columnSquares(values);
      squares.set(input, keep(before === undefined ? sum : (add(before, sum) as Tensor1D)));
      if (before !== undefined) dispose(before);
    },
    ...(options.signal && { signal: options.signal }),
    ...(options.onBatch && { onBatch: options.onBatch }),
  });
  return new Map(
    [...squares].map(([input, sum]) => {
      const norms = tidy(() => sqrt(sum));
      dispose(sum);
      return [input, norms as Tensor1D];
    }),
  );
}
