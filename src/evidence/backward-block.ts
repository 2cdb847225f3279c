import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import { stopIfAborted } from '../errors.js';
import {
  disposeTables,
  forwardBlock,
  type LoadedBlock,
  type LoadedLinear,
  type PositionTables,
  positionTables,
} from '../model/index.js';
import type { Device } from '../tensor/index.js';
import type { BlockInputs } from './block-inputs.js';
import { vectorJacobian } from './vector-jacobian.js';

/** A weight's gradient, in the parts that the weight has on the device; undefined where the batch does not reach the weight. */
export type WeightParts = readonly (Tensor | undefined)[];

export interface BackwardOptions {
  readonly device: Device;
  readonly signal?: AbortSignal;
  /** Stored names of the weights whose gradients are wanted; all of the block's unless given. */
  readonly wanted?: ReadonlySet<string>;
}

/**
 * Sends the gradients of every batch back through one block: those of its weights go to `take`, by the weight's stored name
 * (disposed afterwards), and those of its input replace those of its output in `inputs.gradients`.
 */
export async function backwardBlock(
  block: LoadedBlock,
  inputs: BlockInputs,
  { device, signal, wanted }: BackwardOptions,
  take: (batch: number, gradients: ReadonlyMap<string, WeightParts>) => Promise<void>,
): Promise<void> {
  const { batches } = inputs.gradients;
  const linears = [...block.linears].filter(([name]) => wanted?.has(name) ?? true);
  let tables: { columns: number; of: PositionTables } | undefined;
  try {
    for (const [i, { columns }] of batches.entries()) {
      stopIfAborted(signal);
      if (tables?.columns !== columns) {
        if (tables !== undefined) disposeTables(tables.of);
        tables = undefined;
        tables = { columns, of: positionTables(block, columns, device) };
      }
      await backwardBatch({ block, linears, tables: tables.of }, { inputs, i }, device, (found) => take(i, found));
    }
  } finally {
    if (tables !== undefined) disposeTables(tables.of);
  }
}

type NamedLinears = readonly (readonly [name: string, linear: LoadedLinear])[];

async function backwardBatch(
  at: { readonly block: LoadedBlock; readonly linears: NamedLinears; readonly tables: PositionTables },
  { inputs, i }: { readonly inputs: BlockInputs; readonly i: number },
  device: Device,
  take: (gradients: ReadonlyMap<string, WeightParts>) => Promise<void>,
): Promise<void> {
  const { block, linears, tables } = at;
  const { rows, columns } = inputs.gradients.batches[i]!;
  const upload = (values: Float32Array) => device.upload(values, [rows, columns, block.decoder.hidden]) as Tensor3D;
  const hidden = upload(await inputs.before(block.spec.index).load(i));
  const upstream = upload(await inputs.gradients.load(i));
  const weights = linears.flatMap(([, { weight }]) => weight.parts);
  let found: readonly (Tensor | undefined)[] = [];
  try {
    found = vectorJacobian(() => forwardBlock(block, hidden, tables), [hidden, ...weights], upstream);
    await inputs.gradients.store(i, (await device.read(found[0]!)) as Float32Array);
    await take(byWeight(linears, found.slice(1)));
  } finally {
    for (const tensor of [hidden, upstream, ...found]) tensor?.dispose();
  }
}

function byWeight(linears: NamedLinears, parts: readonly (Tensor | undefined)[]): Map<string, WeightParts> {
  const gradients = new Map<string, WeightParts>();
  let first = 0;
  for (const [name, { weight }] of linears) {
    gradients.set(name, parts.slice(first, first + weight.parts.length));
    first += weight.parts.length;
  }
  return gradients;
}
