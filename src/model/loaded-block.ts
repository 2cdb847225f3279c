import type { Tensor1D } from '@tensorflow/tfjs-core';
import { type Device, disposeMatrix, type Matrix } from '../tensor/index.js';
import type { BlockSpec, Decoder, LinearRole, LinearSpec, Model, VectorKind, VectorSpec } from './decoder.js';
import { loadLinearMatrix } from './matrix-loading.js';
import { disposeNorm, loadNorm, loadVector, type Norm } from './norm.js';

export interface LoadedLinear {
  readonly spec: LinearSpec;
  /** [rows, columns], however it is stored. */
  readonly weight: Matrix;
  readonly bias?: Tensor1D;
}

/** One block's weights as float32 on the device; they are read and travel once. */
export interface LoadedBlock {
  readonly spec: BlockSpec;
  readonly decoder: Decoder;
  /** By the stored name of the weight (`LinearSpec.weight`), in the order of `spec.linears`. */
  readonly linears: ReadonlyMap<string, LoadedLinear>;
  readonly norms: ReadonlyMap<VectorKind, Norm>;
}

/**
 * Reads and uploads block `index`. The caller disposes it (`disposeBlock`) before it loads the next: one block is
 * resident.
 */
export async function loadBlock(model: Model, index: number, device: Device): Promise<LoadedBlock> {
  const { checkpoint, decoder } = model;
  if (decoder.refusal !== undefined) throw new RangeError(`a model that cannot be run: ${decoder.refusal}`);
  const spec = decoder.blocks[index];
  if (spec === undefined) throw new RangeError(`block ${index} of a model with ${decoder.blocks.length}`);
  const linears = new Map<string, LoadedLinear>();
  const norms = new Map<VectorKind, Norm>();
  const block: LoadedBlock = { spec, decoder, linears, norms };
  try {
    for (const part of spec.linears) {
      const weight = await loadLinearMatrix(checkpoint, part, device);
      linears.set(part.weight, { spec: part, weight });
      if (part.bias === undefined) continue;
      linears.set(part.weight, { spec: part, weight, bias: await loadVector(checkpoint, part.bias, device) });
    }
    const kind = decoder.norm;
    for (const { gain, bias } of normsOf(spec.vectors)) {
      const names = { gain: gain.tensor, bias: bias?.tensor };
      norms.set(gain.kind, await loadNorm(checkpoint, names, { kind, epsilon: decoder.normEpsilon }, device));
    }
  } catch (error) {
    disposeBlock(block);
    throw error;
  }
  return block;
}

export function disposeBlock(block: LoadedBlock): void {
  for (const norm of block.norms.values()) disposeNorm(norm);
  for (const { weight, bias } of block.linears.values()) {
    disposeMatrix(weight);
    bias?.dispose();
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
