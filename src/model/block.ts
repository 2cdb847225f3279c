import { add, reshape, type Tensor2D, type Tensor3D, tidy } from '@tensorflow/tfjs-core';
import { attention, type Sequences } from './attention.js';
import type { LinearInput } from './decoder.js';
import { feedForward } from './feed-forward.js';
import type { LoadedBlock } from './loaded-block.js';
import type { PositionTables } from './rope.js';

/**
 * Sees what goes into the linears while a block runs: `values` [tokens, columns] is the input that every linear of that
 * `input` shares; `shares`, of what an expert alone sees, how much of its result each of these tokens takes. It runs inside a
 * tidy: what must outlive the call is kept (`keep`), and `values` must not be disposed.
 */
export type Observe = (input: LinearInput, values: Tensor2D, shares?: Float32Array) => void;

/**
 * hidden [b, t, hidden] → [b, t, hidden]: x + attention(norm(x)), then that + ffn(norm(that)); in a block of parallel
 * halves x + attention(norm(x)) + ffn(norm(x)). Pure; nothing but the result stays on the device. `tables` are those of t
 * tokens.
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
    const attended = tidy(() => withAttention(block, flat, { b, t, tables }, observe));
    const source = block.decoder.parallelResidual ? flat : attended;
    const output = tidy(() => {
      return block.spec.feedForward ? (add(attended, feedForward(block, source, observe)) as Tensor2D) : attended;
    });
    return reshape(output, [b, t, width]) as Tensor3D;
  });
}

/** x [b·t, hidden] → x and what attention adds to it, where the block has attention. */
export function withAttention(block: LoadedBlock, x: Tensor2D, sequences: Sequences, observe?: Observe): Tensor2D {
  return block.spec.attention ? add(x, attention(block, x, sequences, observe)) : x;
}
