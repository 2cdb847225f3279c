import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Checkpoint } from '../checkpoint/index.js';
import { type Device, disposeMatrix, type InputRounding, type Matrix, uploadMatrix } from '../tensor/index.js';
import type { BlockSpec, Decoder, LinearRole, LinearSpec, Model, VectorKind, VectorSpec } from './decoder.js';
import { loadFactoredMatrix } from './factored-loading.js';
import { loadGroupedMatrix } from './grouped-loading.js';
import { throughCache } from './key-value-cache.js';
import { loadRounding } from './load-rounding.js';
import { loadLinearMatrix } from './matrix-loading.js';
import { disposeNorm, loadNorm, loadVector, type Norm } from './norm.js';
import { prefetchBlock } from './prefetch-block.js';

export interface LoadedLinear {
  readonly spec: LinearSpec;
  /** [rows, columns], however it is stored. */
  readonly weight: Matrix;
  readonly bias?: Tensor1D;
  /** What its inputs are rounded to; absent: they stay as they are. */
  readonly rounding?: LoadedRounding;
}

/** How a linear with quantized activations is computed. */
export interface LoadedRounding {
  readonly to: InputRounding;
  /** [rows]: what the weight's integers were multiplied by, where products of integers are added up exactly. */
  readonly scales?: Tensor1D;
}

/** Sees a block's keys (turned) and values [b, kvHeads, t, headDim], and gives what is attended to in their place. */
export type KeyValues = (keys: Tensor4D, values: Tensor4D) => readonly [Tensor4D, Tensor4D];

/** One block's weights as float32 on the device; they are read and travel once. */
export interface LoadedBlock {
  readonly spec: BlockSpec;
  readonly decoder: Decoder;
  /** By the stored name of the weight (`LinearSpec.weight`), in the order of `spec.linears`. */
  readonly linears: Map<string, LoadedLinear>;
  readonly norms: ReadonlyMap<VectorKind, Norm>;
  /** What a cache makes of keys and values; absent: they stay as they are. */
  readonly keyValues?: KeyValues;
}

export interface LoadOptions {
  /**
   * For who only runs the block: weights that are stored as two factors stay two, and those of 16-bit floats stay so where the device
   * multiplies by them. Its matrices are not to be read.
   */
  readonly asStored?: boolean;
}

/**
 * Reads and uploads block `index`, and has the system bring the next one from the disk meanwhile. The caller disposes it
 * (`disposeBlock`) before it loads the next: one block is resident.
 */
export async function loadBlock(
  model: Model,
  index: number,
  device: Device,
  options: LoadOptions = {},
): Promise<LoadedBlock> {
  const { checkpoint, decoder } = model;
  if (decoder.refusal !== undefined) throw new RangeError(`a model that cannot be run: ${decoder.refusal}`);
  const spec = decoder.blocks[index];
  if (spec === undefined) throw new RangeError(`block ${index} of a model with ${decoder.blocks.length}`);
  const linears = new Map<string, LoadedLinear>();
  const norms = new Map<VectorKind, Norm>();
  const cached = model.keyValueScales?.[index];
  const block: LoadedBlock = { spec, decoder, linears, norms, ...(cached && { keyValues: throughCache(cached) }) };
  try {
    for (const part of spec.linears) linears.set(part.weight, await loadLinear(checkpoint, part, device, options));
    const kind = decoder.norm;
    for (const { gain, bias } of normsOf(spec.vectors)) {
      const names = { gain: gain.tensor, bias: bias?.tensor };
      norms.set(gain.kind, await loadNorm(checkpoint, names, { kind, epsilon: decoder.normEpsilon }, device));
    }
  } catch (error) {
    disposeBlock(block);
    throw error;
  }
  // Not waited for: it goes on while the caller works on this block.
  void prefetchBlock(model, index + 1);
  return block;
}

/** Reads and uploads one linear. The caller disposes it (`disposeLinear`), or the block that it is put into. */
export async function loadLinear(
  checkpoint: Checkpoint,
  spec: LinearSpec,
  device: Device,
  { asStored = false }: LoadOptions = {},
): Promise<LoadedLinear> {
  const rounding = await loadRounding(checkpoint, spec, device);
  // A router's rows and weights of whole numbers are read as well.
  const onlyMultiplied = spec.role !== 'router' && rounding?.scales === undefined;
  const load = async () =>
    (await loadGroupedMatrix(checkpoint, spec, device)) ??
    (await loadLinearMatrix(checkpoint, spec, device, { asStored: asStored && onlyMultiplied }));
  let loaded: LoadedLinear | undefined;
  try {
    const thin = asStored ? await loadFactoredMatrix(checkpoint, spec, device) : undefined;
    loaded = { spec, weight: thin ?? (await load()), ...(rounding && { rounding }) };
    if (spec.bias !== undefined) loaded = { ...loaded, bias: await loadVector(checkpoint, spec.bias, device) };
    return loaded;
  } catch (error) {
    if (loaded !== undefined) disposeLinear(loaded);
    else rounding?.scales?.dispose();
    throw error;
  }
}

export function disposeLinear({ weight, bias, rounding }: LoadedLinear): void {
  disposeMatrix(weight);
  bias?.dispose();
  rounding?.scales?.dispose();
}

export function disposeBlock(block: LoadedBlock): void {
  for (const norm of block.norms.values()) disposeNorm(norm);
  for (const linear of block.linears.values()) disposeLinear(linear);
}

/**
 * Gives a linear of the block the values [rows, columns] for its weight: written over the others where the device computes in the
 * host's memory. Only for a block that holds its tensors alone.
 */
export function replaceWeight(block: LoadedBlock, weight: string, values: Float32Array, device: Device): void {
  const linear = block.linears.get(weight)!;
  const { rows, columns, parts } = linear.weight;
  const { hostMemory } = device;
  if (hostMemory === undefined) {
    block.linears.set(weight, { ...linear, weight: uploadMatrix(device, values, rows, columns) });
    disposeMatrix(linear.weight);
    return;
  }
  let next = 0;
  for (const part of parts) {
    hostMemory.view(part).set(values.subarray(next, next + part.size));
    next += part.size;
  }
}

/** A block's linear of that role (and of that expert); undefined when it has none. */
export function linearOf(block: LoadedBlock, role: LinearRole, expert?: number): LoadedLinear | undefined {
  const spec = block.spec.linears.find((linear) => linear.role === role && linear.expert === expert);
  return spec && block.linears.get(spec.weight);
}

function normsOf(vectors: readonly VectorSpec[]): { readonly gain: VectorSpec; readonly bias?: VectorSpec }[] {
  return vectors
    .filter(({ kind }) => !kind.endsWith('-bias'))
    .map((gain) => {
      const bias = vectors.find(({ kind }) => kind === `${gain.kind}-bias`);
      return { gain, ...(bias && { bias }) };
    });
}
