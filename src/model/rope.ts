import { dispose, type Tensor2D } from '@tensorflow/tfjs-core';
import { BirdboneError } from '../errors.js';
import type { Device } from '../tensor/index.js';
import type { BlockShape, Decoder, Rope, RopeScaling } from './decoder.js';

/**
 * Added to a score that must not count: its softmax weight is exactly 0, and unlike −∞ it is defined on every device.
 */
const FORBIDDEN = -1e30;

/** What attention needs to know of positions 0 … t − 1, on the device. */
export interface PositionTables {
  /** [t, d] each, d the dimensions of a head that are turned: the d / 2 angles' cosines and sines, twice. Absent: none are. */
  readonly rotation?: { readonly cos: Tensor2D; readonly sin: Tensor2D };
  /** [t, t]: 0 where the row's query may look at the column's key, a large negative number elsewhere. */
  readonly mask: Tensor2D;
  /** How many keys a query of the mask sees, itself among them; t where it sees all before it. */
  readonly window: number;
}

/**
 * Returns the rotary angle per position of each of the dimensions / 2 pairs, in f64 radians, for a text of so many tokens (which
 * only LongRoPE heeds).
 * Sources: Su et al. 2021 (θ^(−2j/d)); Chen et al. 2023 for linear scaling; Llama 3.1's wavelength-dependent rule as in
 * transformers, modeling_rope_utils.py (`_compute_llama3_parameters`, `_compute_longrope_parameters`).
 */
export function inverseFrequencies({ dimensions, theta, scaling }: Rope, tokens = 0): Float64Array {
  const plain = Float64Array.from({ length: dimensions / 2 }, (_, pair) => theta ** ((-2 * pair) / dimensions));
  if (scaling.kind !== 'longrope') return plain.map((frequency) => scale(frequency, scaling));
  const factors = tokens > scaling.originalContext ? scaling.longFactors : scaling.shortFactors;
  return plain.map((frequency, pair) => frequency / factors[pair]!);
}

function scale(frequency: number, scaling: Exclude<RopeScaling, { readonly kind: 'longrope' }>): number {
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

/** What of a loaded block decides its tables. */
export interface PositionedBlock {
  readonly decoder: Pick<Decoder, 'maxContext'>;
  readonly spec: Pick<BlockShape, 'rope' | 'slidingWindow'>;
}

/** Throws `usage` when the model was not made for so many tokens. */
export function refuseLongerTexts({ maxContext }: Pick<Decoder, 'maxContext'>, tokens: number): void {
  if (tokens <= maxContext) return;
  throw new BirdboneError(
    'usage',
    `A text window of ${tokens} tokens is longer than the model's context of ${maxContext}.`,
    {
      suggestions: [`Use --context ${maxContext} or less.`],
    },
  );
}

/** Uploads a block's tables for `tokens` positions. Throws `usage` when the model was not made for so many. */
export function positionTables({ decoder, spec }: PositionedBlock, tokens: number, device: Device): PositionTables {
  refuseLongerTexts(decoder, tokens);
  return {
    ...(spec.rope !== undefined && { rotation: rotationTables(spec.rope, tokens, device) }),
    mask: device.upload(attentionMask(tokens, spec.slidingWindow), [tokens, tokens]) as Tensor2D,
    window: spec.slidingWindow ?? tokens,
  };
}

function rotationTables(rope: Rope, tokens: number, device: Device) {
  const { dimensions, scaling } = rope;
  const frequencies = inverseFrequencies(rope, tokens);
  const amplitude = scaling.kind === 'longrope' ? scaling.amplitude : 1;
  const cos = new Float32Array(tokens * dimensions);
  const sin = new Float32Array(tokens * dimensions);
  for (let position = 0; position < tokens; position++) {
    for (let column = 0; column < dimensions; column++) {
      const angle = position * frequencies[column % frequencies.length]!;
      cos[position * dimensions + column] = amplitude * Math.cos(angle);
      sin[position * dimensions + column] = amplitude * Math.sin(angle);
    }
  }
  return {
    cos: device.upload(cos, [tokens, dimensions]) as Tensor2D,
    sin: device.upload(sin, [tokens, dimensions]) as Tensor2D,
  };
}

export function disposeTables({ rotation, mask }: PositionTables): void {
  dispose(rotation === undefined ? [mask] : [rotation.cos, rotation.sin, mask]);
}

/** [t, t] row-major: query q sees keys max(0, q − window + 1) … q. */
function attentionMask(tokens: number, window = tokens): Float32Array {
  const mask = new Float32Array(tokens * tokens).fill(FORBIDDEN);
  for (let query = 0; query < tokens; query++) {
    mask.fill(0, query * tokens + Math.max(0, query - window + 1), query * tokens + query + 1);
  }
  return mask;
}
