import { clone, gather, type Tensor2D, type Tensor3D, tidy } from '@tensorflow/tfjs-core';
import { goOn } from '../pause.js';
import type { Device } from '../tensor/index.js';
import { isPadded, realPositions, type TokenBatch } from './batches.js';
import { forwardBlock, type Observe } from './block.js';
import type { LinearInput } from './decoder.js';
import type { HiddenStates } from './hidden-states.js';
import type { LoadedBlock } from './loaded-block.js';
import { observeBlock } from './observe-block.js';
import { disposeTables, type PositionTables, positionTables } from './rope.js';
import { forwardRouted } from './routed-block.js';

export interface PassOptions {
  /** Sees real tokens only: a batch's padding is taken out before. */
  readonly observe?: Observe;
  /** All that `observe` looks at: where nothing is stored, a block without experts runs no further than these need. */
  readonly wanted?: ReadonlySet<LinearInput>;
  /** Whether the block's outputs replace its inputs in the states, or who takes them; false computes them for `observe` alone. */
  readonly store: boolean | ((i: number, values: Float32Array) => Promise<void>);
  readonly signal?: AbortSignal;
  /** Called after each batch, for what `observe` kept of it: the next batch waits. */
  readonly settle?: (done: number) => Promise<void>;
  /** Called after each batch. */
  readonly onBatch?: (done: number, total: number) => void;
}

/**
 * Sends every batch of the states through one block. Afterwards the device holds what it held before, and what
 * `observe` kept.
 */
export async function runBlock(
  block: LoadedBlock,
  states: HiddenStates,
  device: Device,
  options: PassOptions,
): Promise<void> {
  const { batches } = states;
  let tables: { columns: number; of: PositionTables } | undefined;
  try {
    for (const [i, batch] of batches.entries()) {
      await goOn(options.signal);
      if (tables?.columns !== batch.columns) {
        if (tables !== undefined) disposeTables(tables.of);
        tables = undefined;
        tables = { columns: batch.columns, of: positionTables(block, batch.columns, device) };
      }
      await runBatch(block, { states, i, tables: tables.of }, device, options);
      await options.settle?.(i + 1);
      options.onBatch?.(i + 1, batches.length);
    }
  } finally {
    if (tables !== undefined) disposeTables(tables.of);
  }
}

async function runBatch(
  block: LoadedBlock,
  at: { readonly states: HiddenStates; readonly i: number; readonly tables: PositionTables },
  device: Device,
  { observe, wanted, store }: PassOptions,
): Promise<void> {
  const batch = at.states.batches[at.i]!;
  const input = await inputOf(at.states, at.i, device);
  let output: Tensor3D | undefined;
  try {
    const shared = observe && withoutPadding(batch, observe);
    if (shared && wanted && !store && !block.spec.experts) {
      return observeBlock(block, input, { tables: at.tables, observe: shared, wanted });
    }
    output = block.spec.experts
      ? await forwardRouted(block, input, { batch, tables: at.tables, device }, { shared, own: observe })
      : forwardBlock(block, input, at.tables, shared);
    if (store === true) await at.states.storeTensor(at.i, output, device);
    else if (store !== false) await store(at.i, (await device.read(output)) as Float32Array);
  } finally {
    input.dispose();
    output?.dispose();
  }
}

/** Batch i on the device, for the caller to dispose: nothing travels where it lies there. */
async function inputOf(states: HiddenStates, i: number, device: Device): Promise<Tensor3D> {
  const held = states.onDevice(i);
  if (held !== undefined) return clone(held);
  const { rows, columns } = states.batches[i]!;
  return device.upload(await states.load(i), [rows, columns, states.hiddenSize]) as Tensor3D;
}

function withoutPadding(batch: TokenBatch, observe: Observe): Observe {
  if (!isPadded(batch)) return observe;
  const positions = realPositions(batch);
  return (input, values) => tidy(() => observe(input, gather(values, positions) as Tensor2D));
}
