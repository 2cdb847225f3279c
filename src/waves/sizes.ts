import type { Decoder, Model } from '../model/index.js';

export interface Sizes {
  readonly parameters: number;
  readonly prunable: number;
  /** Weights that each token is multiplied by: the blocks' linears and the head. */
  readonly multiplied: number;
  readonly bytes: number;
}

export function sizesOf({ checkpoint, decoder }: Model): Sizes {
  let parameters = 0;
  let bytes = 0;
  for (const info of checkpoint.tensors.values()) {
    parameters += info.shape.reduce((product, extent) => product * extent, 1);
    bytes += info.byteLength;
  }
  const prunable = prunableOf(decoder);
  return { parameters, prunable, multiplied: prunable + decoder.vocabulary * decoder.hidden, bytes };
}

export function prunableOf(decoder: Decoder): number {
  return decoder.blocks.reduce(
    (sum, block) => sum + block.linears.reduce((inner, linear) => inner + linear.rows * linear.columns, 0),
    0,
  );
}

/** Bytes of one wave's layer when it holds masks: a bit for every weight that may go. */
export function layerBytes(sizes: Sizes): number {
  return Math.ceil(sizes.prunable / 8);
}
