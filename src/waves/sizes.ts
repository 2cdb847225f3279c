import type { BlockSpec, Decoder, Model } from '../model/index.js';
import type { Edit } from '../pruning/index.js';

export interface Sizes {
  readonly parameters: number;
  readonly prunable: number;
  /** Weights that each token is multiplied by: the blocks' linears (of experts, those of the chosen ones) and the head. */
  readonly multiplied: number;
  readonly bytes: number;
  /** Of the weights that may go. */
  readonly prunableBytes: number;
}

export function sizesOf({ checkpoint, decoder }: Model): Sizes {
  let parameters = 0;
  let bytes = 0;
  for (const info of checkpoint.tensors.values()) {
    parameters += info.shape.reduce((product, extent) => product * extent, 1);
    bytes += info.byteLength;
  }
  const prunable = prunableOf(decoder);
  const linears = decoder.blocks.flatMap((block) => block.linears.map(({ weight }) => weight));
  const prunableBytes = linears.reduce((sum, name) => sum + (checkpoint.tensors.get(name)?.byteLength ?? 0), 0);
  const multiplied = sumOver(decoder, multipliedIn) + decoder.vocabulary * decoder.hidden;
  return { parameters, prunable, multiplied, bytes, prunableBytes };
}

export function prunableOf(decoder: Decoder): number {
  return sumOver(decoder, weightsOf);
}

/** Of one block's linears, all experts'. */
export function weightsOf({ linears }: BlockSpec): number {
  return linears.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
}

function multipliedIn({ linears, experts }: BlockSpec): number {
  const share = experts === undefined ? 1 : experts.perToken / experts.count;
  return linears.reduce(
    (sum, { rows, columns, expert }) => sum + rows * columns * (expert === undefined ? 1 : share),
    0,
  );
}

function sumOver({ blocks }: Decoder, count: (block: BlockSpec) => number): number {
  return blocks.reduce((sum, block) => sum + count(block), 0);
}

/**
 * Bytes of the layers of so many waves at most: a bit for every weight that may go, each weight once that goes, and what the
 * waves replace.
 */
export function layerBytes(
  sizes: Sizes,
  { waves, sparsity, replaced }: { readonly waves: number; readonly sparsity: number; readonly replaced: number },
): number {
  return waves * Math.ceil(sizes.prunable / 8) + Math.ceil(sparsity * sizes.prunableBytes) + replaced;
}

/** Bytes of the tensors that steps of so many waves each replace, as often as they do. */
export function replacedBytes(
  model: Model,
  edits: readonly Pick<Edit, 'plan' | 'followedBy'>[],
  waves: readonly number[],
): number {
  return edits.reduce((sum, edit, step) => {
    const values = [edit, edit.followedBy].flatMap((each) => each?.plan(model).values ?? []);
    return sum + waves[step]! * values.reduce((bytes, { byteLength }) => bytes + byteLength, 0);
  }, 0);
}
