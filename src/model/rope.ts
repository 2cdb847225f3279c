import { dispose, type Tensor2D } from '@tensorflow/tfjs-core';
import { BirdboneError } from '../errors.js';
import type { Device } from '../tensor/index.js';
import type { Decoder, RopeScaling } from './decoder.js';

/**
 * Added to a score that must not count: its softmax weight is exactly 0, and unlike −∞ it is defined on every device.
 */
const FORBIDDEN = -1e30;

/** What attention needs to know of positions 0 … t − 1, on the device. */
export interface PositionTables {
  /** [t, headDim]: the headDim / 2 angles' cosines, twice. */
  readonly cos: Tensor2D;
  readonly sin: Tensor2D;
  /** [t, t]: 0 where the row's query may look at the column's key, a large negative number elsewhere. */
  readonly mask: Tensor2D;
}

/**
 * Returns the rotary angle per position of each of the headDim / 2 pairs, in f64 radians.
 * Sources: Su et al. 2021 (θ^(−2j/d)); Chen et al. 2023 for linear scaling; Llama 3.1's wavelength-dependent rule as in
 * transformers, modeling_rope_utils.py (`_compute_llama3_parameters`).
 */
export function inverseFrequencies(headDim: number, theta: number, scaling: RopeScaling): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, pair) => scale(theta ** ((-2 * pair) / headDim), scaling));
}

function scale(frequency: number, scaling: RopeScaling): number {
  switch (scaling.kind) {
    case 'none':
      return frequency;
    case 'linear':
      return frequency / scaling.factor;
    case 'llama3': {
      // Turns that the pair makes over the context the model was first trained on.
      const turns = (scaling.originalContext * frequency) / (2 * Math.PI);
      const { lowFrequencyFactor: low, highFrequencyFactor: high } = scaling;
      const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
      return (1 - kept) * (frequency / scaling.factor) + kept * frequency;
    }
  }
}

/** Uploads the tables for `tokens` positions. Throws `usage` when the model was not made for so many. */
export function positionTables(decoder: Decoder, tokens: number, device: Device): PositionTables {
  if (tokens > decoder.maxContext) {
    throw new BirdboneError(
      'usage',
      `A text window of ${tokens} tokens is longer than the model's context of ${decoder.maxContext}.`,
      { suggestions: [`Use --context ${decoder.maxContext} or less.`] },
    );
  }
  const { headDim } = decoder;
  const frequencies = inverseFrequencies(headDim, decoder.ropeTheta, decoder.ropeScaling);
  const cos = new Float32Array(tokens * headDim);
  const sin = new Float32Array(tokens * headDim);
  for (let position = 0; position < tokens; position++) {
    for (let column = 0; column < headDim; column++) {
      const angle = position * frequencies[column % frequencies.length]!;
      cos[position * headDim + column] = Math.cos(angle);
      sin[position * headDim + column] = Math.sin(angle);
    }
  }
  return {
    cos: device.upload(cos, [tokens, headDim]) as Tensor2D,
    sin: device.upload(sin, [tokens, headDim]) as Tensor2D,
    mask: device.upload(attentionMask(tokens, decoder.slidingWindow), [tokens, tokens]) as Tensor2D,
  };
}

export function disposeTables(tables: PositionTables): void {
  dispose([tables.cos, tables.sin, tables.mask]);
}

/** [t, t] row-major: query q sees keys max(0, q − window + 1) … q. */
function attentionMask(tokens: number, window = tokens): Float32Array {
  const mask = new Float32Array(tokens * tokens).fill(FORBIDDEN);
  for (let query = 0; query < tokens; query++) {
    mask.fill(0, query * tokens + Math.max(0, query - window + 1), query * tokens + query + 1);
  }
  return mask;
}
