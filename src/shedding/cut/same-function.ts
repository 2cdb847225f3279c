import { BirdboneError } from '../../errors.js';
import type { BlockSpec, Decoder } from '../../model/index.js';
import type { ModelWidths } from './widths.js';

/** What of a decoder decides what it computes, besides its widths. */
const NUMBERS = [
  ...['norm', 'activation', 'parallelResidual', 'maxContext', 'embeddingScale', 'attentionSoftcap', 'finalSoftcap'],
  ...['bosTokenId', 'eosTokenIds', 'tied'],
] as const;

/**
 * Throws `unsupported` unless the config of the cut model means what the model was: the same windows, rotations and scales, and
 * the widths that were wanted. What a config implies (every second block slides a window, embeddings are multiplied by the root of
 * their width) can change when blocks or dimensions go.
 */
export function refuseOtherFunction(before: Decoder, after: Decoder, widths: ModelWidths): void {
  const changed = [...changedNumbers(before, after), ...changedBlocks(before, after, widths)];
  const [first] = changed;
  if (first === undefined) return;
  throw new BirdboneError(
    'unsupported',
    `No config.json says what this ${before.architecture} model would be after the cut: ${first}.`,
    { suggestions: ['Shed other plates: --plates ffn'] },
  );
}

function changedNumbers(before: Decoder, after: Decoder): string[] {
  const scale = ({ attentionScale, headDim }: Decoder) => attentionScale ?? 1 / Math.sqrt(headDim);
  const numbers = NUMBERS.map((name) => [name, before[name as keyof Decoder], after[name as keyof Decoder]] as const);
  const all = [...numbers, ['attentionScale', scale(before), scale(after)] as const];
  return all
    .filter(([, was, is]) => JSON.stringify(was) !== JSON.stringify(is))
    .map(([name, was, is]) => `its ${name} would become ${JSON.stringify(is)} from ${JSON.stringify(was)}`);
}

function changedBlocks(before: Decoder, after: Decoder, { blocks }: ModelWidths): string[] {
  if (after.blocks.length !== blocks.length)
    return [`it would have ${after.blocks.length} blocks, not ${blocks.length}`];
  return blocks.flatMap((wanted, index) => {
    const [was, is] = [before.blocks[wanted.block]!, after.blocks[index]!];
    const what = `block ${wanted.block}`;
    const found = [is.heads, is.kvHeads, is.ffn];
    const sizes = [wanted.heads, wanted.kvHeads, wanted.ffn];
    return [
      ...(found.join() === sizes.join() ? [] : [`${what} would have ${found.join(', ')} heads, KV heads and channels`]),
      ...(windowOf(was, before) === windowOf(is, after) || wanted.heads === 0
        ? []
        : [`the window of ${what} would become ${is.slidingWindow ?? 'the whole context'}`]),
      ...(JSON.stringify(was.rope) === JSON.stringify(is.rope) || wanted.heads === 0
        ? []
        : [`the rotary embedding of ${what} would change`]),
    ];
  });
}

/** A window of the whole context is none. */
function windowOf({ slidingWindow }: BlockSpec, { maxContext }: Decoder): number {
  return Math.min(slidingWindow ?? maxContext, maxContext);
}
