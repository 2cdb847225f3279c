import { shortestDecimal } from './metadata-reader.js';

/** What LongRoPE divides each frequency by: in texts within the first context, and in longer ones. */
export interface LongRopeFactors {
  readonly short: readonly number[];
  readonly long: readonly number[];
}

/** The tensors in which llama.cpp keeps them. */
export const LONG_ROPE_TENSORS = { long: 'rope_factors_long.weight', short: 'rope_factors_short.weight' } as const;

/** Relative; the amplitude is a float32 in the file. */
const TOLERANCE = 1e-5;

/** What cosines and sines are multiplied by. Source: transformers, modeling_rope_utils.py (`_compute_longrope_parameters`). */
export function longRopeAmplitude(context: number, originalContext: number): number {
  const ratio = context / originalContext;
  return ratio <= 1 ? 1 : Math.sqrt(1 + Math.log(ratio) / Math.log(originalContext));
}

/** Whether a file's amplitude is the one that follows from its contexts; config.json has no place for another. */
export function isUsualAmplitude(amplitude: number, context: number, originalContext: number): boolean {
  return Math.abs(amplitude / longRopeAmplitude(context, originalContext) - 1) < TOLERANCE;
}

/** Float32 numbers as the decimals that config.json had. */
export function decimals(values: Float32Array): number[] {
  return Array.from(values, shortestDecimal);
}
