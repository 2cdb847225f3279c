import { reshape, type Tensor2D, type Tensor3D, tidy } from '@tensorflow/tfjs-core';
import { mixedHeads, normed } from './attention.js';
import { type Observe, withAttention } from './block.js';
import type { LinearInput } from './decoder.js';
import { innerOf } from './ffn-inner.js';
import type { LoadedBlock } from './loaded-block.js';
import type { PositionTables } from './rope.js';

/** The inputs of a block without experts, in the order in which a forward pass makes them. */
const ORDER = ['attention-norm', 'attention-out', 'ffn-norm', 'ffn-inner'] as const satisfies readonly LinearInput[];

/**
 * Shows `observe` the inputs of the block's linears as `forwardBlock` would, and goes no further than the last of `wanted` is made:
 * what would follow it (`down` at the least, a quarter of the block) is not computed. For blocks without experts.
 */
export function observeBlock(
  block: LoadedBlock,
  hidden: Tensor3D,
  { tables, observe, wanted }: { tables: PositionTables; observe: Observe; wanted: ReadonlySet<LinearInput> },
): void {
  const last = ORDER.findLastIndex((input) => wanted.has(input));
  tidy(() => {
    const [b, t, width] = hidden.shape;
    const flat = reshape(hidden, [b * t, width]) as Tensor2D;
    const sequences = { b, t, tables };
    if (last <= ORDER.indexOf('attention-out')) {
      if (last < 0 || !block.spec.attention) return;
      const input = normed(block, 'attention-norm', flat);
      if (last === 0) observe('attention-norm', input);
      else observe('attention-out', mixedHeads(block, input, sequences, observe));
      return;
    }
    const attended = tidy(() => withAttention(block, flat, sequences, observe));
    if (!block.spec.feedForward) return;
    const input = normed(block, 'ffn-norm', block.decoder.parallelResidual ? flat : attended);
    observe('ffn-norm', input);
    if (ORDER[last] === 'ffn-inner') observe('ffn-inner', innerOf(block, input));
  });
}
