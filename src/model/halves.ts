import { reshape, type Tensor2D, type Tensor3D, tidy } from '@tensorflow/tfjs-core';
import { attention, type Sequences } from './attention.js';
import { withAttention } from './block.js';
import { feedForward } from './feed-forward.js';
import type { LoadedBlock } from './loaded-block.js';

/** A block is two halves, each of which adds something to the residual stream. */
export type BlockHalf = 'attention' | 'feed-forward';

/** hidden [b, t, hidden] before a block → what goes into one of its halves, [b · t, hidden], before that half's norm. */
export function halfInput(block: LoadedBlock, hidden: Tensor3D, sequences: Sequences, half: BlockHalf): Tensor2D {
  return tidy(() => {
    const flat = reshape(hidden, [-1, hidden.shape[2]]) as Tensor2D;
    if (half === 'attention' || block.decoder.parallelResidual) return flat;
    return withAttention(block, flat, sequences);
  });
}

/**
 * x [b · t, hidden] → what that half adds to it. The block may have other weights than the one that `x` came from; a feed-forward
 * half of experts sends every token through all of them.
 */
export function halfOutput(block: LoadedBlock, x: Tensor2D, sequences: Sequences, half: BlockHalf): Tensor2D {
  return tidy(() => (half === 'attention' ? attention(block, x, sequences) : feedForward(block, x)));
}
