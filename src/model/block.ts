import {
  add,
  dispose,
  reshape,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  tidy,
  transpose,
} from '@tensorflow/tfjs-core';
import { readFloats } from '../checkpoint/index.js';
import {
  causalAttention,
  type Device,
  disposeMatrix,
  linear,
  type Matrix,
  rmsNorm,
  rotary,
  swiglu,
} from '../tensor/index.js';
import type { BlockSpec, Decoder, LinearInput, LinearRole, Model } from './decoder.js';
import { loadMatrix } from './matrix-loading.js';
import type { PositionTables } from './rope.js';

export interface LoadedLinear {
  readonly weight: Matrix;
  readonly bias?: Tensor1D;
}

/** One block's weights as float32 on the device; they are read and travel once. */
export interface LoadedBlock {
  readonly spec: BlockSpec;
  readonly decoder: Decoder;
  readonly attentionNorm: Tensor1D;
  readonly ffnNorm: Tensor1D;
  readonly linears: Readonly<Record<LinearRole, LoadedLinear>>;
}

/**
 * Sees what goes into the linears while a block runs: `values` [tokens, columns] is the input that every linear of that
 * `input` shares. It runs inside a tidy: what must outlive the call is kept (`keep`), and `values` must not be
 * disposed.
 */
export type Observe = (input: LinearInput, values: Tensor2D) => void;

/**
 * Reads and uploads block `index`. The caller disposes it (`disposeBlock`) before it loads the next: one block is
 * resident.
 */
export async function loadBlock(model: Model, index: number, device: Device): Promise<LoadedBlock> {
  const { checkpoint, decoder } = model;
  const spec = decoder.blocks[index];
  if (spec === undefined) throw new RangeError(`block ${index} of a model with ${decoder.blocks.length}`);
  const vector = async (name: string) => {
    const values = await readFloats(checkpoint, name);
    return device.upload(values, [values.length]) as Tensor1D;
  };
  const linears: Partial<Record<LinearRole, LoadedLinear>> = {};
  const norms: Tensor1D[] = [];
  try {
    for (const part of spec.linears) {
      const weight = await loadMatrix(checkpoint, part.weight, part, device);
      linears[part.role] = { weight };
      if (part.bias !== undefined) linears[part.role] = { weight, bias: await vector(part.bias) };
    }
    norms.push(await vector(spec.attentionNorm), await vector(spec.ffnNorm));
  } catch (error) {
    disposeParts(norms, Object.values(linears));
    throw error;
  }
  const [attentionNorm, ffnNorm] = norms as [Tensor1D, Tensor1D];
  return { spec, decoder, attentionNorm, ffnNorm, linears: linears as Record<LinearRole, LoadedLinear> };
}

export function disposeBlock(block: LoadedBlock): void {
  disposeParts([block.attentionNorm, block.ffnNorm], Object.values(block.linears));
}

function disposeParts(norms: Tensor1D[], linears: LoadedLinear[]): void {
  dispose(norms);
  for (const { weight, bias } of linears) {
    disposeMatrix(weight);
    bias?.dispose();
  }
}

/**
 * hidden [b, t, hidden] → [b, t, hidden]: x + attention(norm(x)), then that + ffn(norm(that)). Pure; nothing but the
 * result stays on the device. `tables` are those of t tokens.
 */
export function forwardBlock(
  block: LoadedBlock,
  hidden: Tensor3D,
  tables: PositionTables,
  observe?: Observe,
): Tensor3D {
  return tidy(() => {
    const [b, t, width] = hidden.shape;
    const flat = reshape(hidden, [b * t, width]) as Tensor2D;
    // Each half is tidied by itself: its intermediates are gone before the other half needs room.
    const attended = tidy(() => add(flat, attention(block, flat, { b, t, tables }, observe)) as Tensor2D);
    const output = tidy(() => add(attended, feedForward(block, attended, observe)) as Tensor2D);
    return reshape(output, [b, t, width]) as Tensor3D;
  });
}

interface Sequences {
  readonly b: number;
  readonly t: number;
  readonly tables: PositionTables;
}

function attention(block: LoadedBlock, x: Tensor2D, sequences: Sequences, observe?: Observe): Tensor2D {
  const { b, t, tables } = sequences;
  const { heads, kvHeads, headDim, normEpsilon } = block.decoder;
  const input = rmsNorm(x, block.attentionNorm, normEpsilon);
  observe?.('attention-norm', input);
  const project = (role: LinearRole, count: number) =>
    transpose(reshape(apply(block, role, input), [b, t, count, headDim]), [0, 2, 1, 3]) as Tensor4D;
  const q = rotary(project('q', heads), tables.cos, tables.sin);
  const k = rotary(project('k', kvHeads), tables.cos, tables.sin);
  const mixed = causalAttention(q, k, project('v', kvHeads), tables.mask);
  const output = reshape(transpose(mixed, [0, 2, 1, 3]), [b * t, heads * headDim]) as Tensor2D;
  observe?.('attention-out', output);
  return apply(block, 'o', output);
}

function feedForward(block: LoadedBlock, x: Tensor2D, observe?: Observe): Tensor2D {
  const input = rmsNorm(x, block.ffnNorm, block.decoder.normEpsilon);
  observe?.('ffn-norm', input);
  const inner = swiglu(apply(block, 'gate', input), apply(block, 'up', input));
  observe?.('ffn-inner', inner);
  return apply(block, 'down', inner);
}

function apply(block: LoadedBlock, role: LinearRole, x: Tensor2D): Tensor2D {
  const { weight, bias } = block.linears[role];
  return linear(x, weight, bias);
}
