import { reshape, type Tensor2D, type Tensor4D, transpose } from '@tensorflow/tfjs-core';
import { causalAttention, rotary } from '../tensor/index.js';
import type { Observe } from './block.js';
import type { LoadedBlock } from './loaded-block.js';
import { applyNorm } from './norm.js';
import { project, projectAll } from './projections.js';
import type { PositionTables } from './rope.js';

/** How the rows of a batch are its sequences. */
export interface Sequences {
  /** Sequences. */
  readonly b: number;
  /** Tokens of each. */
  readonly t: number;
  readonly tables: PositionTables;
}

/** x [b·t, hidden] → what attention adds to it, [b·t, hidden]. */
export function attention(block: LoadedBlock, x: Tensor2D, sequences: Sequences, observe?: Observe): Tensor2D {
  const mixed = mixedHeads(block, normed(block, 'attention-norm', x), sequences, observe);
  observe?.('attention-out', mixed);
  return normed(block, 'post-attention-norm', project(block, 'o', mixed));
}

/** The normed input [b·t, hidden] → what goes into `o`, [b·t, heads · headDim]. */
export function mixedHeads(block: LoadedBlock, input: Tensor2D, sequences: Sequences, observe?: Observe): Tensor2D {
  const { b, t, tables } = sequences;
  const { heads, kvHeads, headDim } = block.spec;
  const { attentionSoftcap: softcap } = block.decoder;
  const scale = block.spec.attentionScale ?? block.decoder.attentionScale;
  observe?.('attention-norm', input);
  const [q, k, v] = projectAll(block, ['q', 'k', 'v'], 'qkv', { x: input }) as [Tensor2D, Tensor2D, Tensor2D];
  const byHead = (values: Tensor2D, count: number) =>
    transpose(reshape(values, [b, t, count, headDim]), [0, 2, 1, 3]) as Tensor4D;
  const queries = turned(byHead(normedHeads(block, 'q-norm', q), heads), tables);
  const made = [turned(byHead(normedHeads(block, 'k-norm', k), kvHeads), tables), byHead(v, kvHeads)] as const;
  const [keys, values] = block.keyValues?.(...made) ?? made;
  const mixed = causalAttention(queries, keys, values, tables.mask, { scale, softcap, window: tables.window });
  return reshape(transpose(mixed, [0, 2, 1, 3]), [b * t, heads * headDim]) as Tensor2D;
}

/** Through the block's norm of that kind; as it is when the block has none. */
export function normed(
  block: LoadedBlock,
  kind: 'attention-norm' | 'post-attention-norm' | 'ffn-norm' | 'post-ffn-norm',
  x: Tensor2D,
): Tensor2D {
  const norm = block.norms.get(kind);
  return norm === undefined ? x : applyNorm(norm, x);
}

/** values [n, heads · headDim], each head normed by itself. */
function normedHeads(block: LoadedBlock, kind: 'q-norm' | 'k-norm', values: Tensor2D): Tensor2D {
  const norm = block.norms.get(kind);
  if (norm === undefined) return values;
  const heads = reshape(values, [-1, block.spec.headDim]) as Tensor2D;
  return reshape(applyNorm(norm, heads), values.shape) as Tensor2D;
}

/** x [b, heads, t, headDim] with the first dimensions of each head turned, as many as the tables are wide. */
function turned(x: Tensor4D, { rotation }: PositionTables): Tensor4D {
  if (rotation === undefined) return x;
  return rotary(x, rotation.cos, rotation.sin);
}
