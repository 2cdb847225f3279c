/** How Llama 3.1 stretches its rotary frequencies. The four numbers are those of `rope_scaling` in config.json. */
export interface Llama3Scaling {
  readonly factor: number;
  readonly lowFrequencyFactor: number;
  readonly highFrequencyFactor: number;
  readonly originalContext: number;
}

export interface RopeBase {
  readonly theta: number;
  readonly headDim: number;
}

/**
 * Returns what llama.cpp divides each frequency by, the content of its tensor `rope_freqs.weight` (headDim / 2 values).
 * Source: llama.cpp, convert_hf_to_gguf.py (`LlamaModel.generate_extra_tensors`).
 */
export function ropeFactors(scaling: Llama3Scaling, base: RopeBase): Float32Array {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling;
  return Float32Array.from(turnsPerContext(originalContext, base), (turns) => {
    if (turns > high) return 1;
    if (turns < low) return factor;
    const smooth = (turns - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

/** How often each pair turns while the text goes through `context` tokens. */
function turnsPerContext(context: number, { theta, headDim }: RopeBase): number[] {
  return Array.from({ length: headDim / 2 }, (_, pair) => (context * theta ** ((-2 * pair) / headDim)) / (2 * Math.PI));
}

/** The published models all say so, and the factors do not: only the ratios of the other three numbers leave a trace. */
const LOW_FREQUENCY_FACTOR = 1;
/** Relative; the factors are float32, and those of published files were made in it. */
const TOLERANCE = 1e-5;

/**
 * Returns the scaling that gives these factors; undefined when none does, or when fewer than two lie between the ends, so that many do.
 * Between its two ends a factor's inverse is a straight line in the frequency, which two factors fix; the result is accepted when it gives
 * back every factor.
 */
export function recoverScaling(factors: Float32Array, base: RopeBase): Llama3Scaling | undefined {
  if (factors.length !== base.headDim / 2 || !factors.every((value) => value >= 1 && Number.isFinite(value)))
    return undefined;
  const factor = Math.max(...factors);
  const turns = turnsPerContext(1, base);
  // smooth = slope · turns − offset, for the pairs that are between the ends.
  const between = [...factors].flatMap((value, pair) => {
    const smooth = (1 / value - 1 / factor) / (1 - 1 / factor);
    return smooth > 1e-4 && smooth < 1 - 1e-4 ? [{ x: turns[pair]!, y: smooth }] : [];
  });
  const first = between[0];
  const last = between.at(-1);
  if (first === undefined || last === undefined || first === last) return undefined;
  const slope = (first.y - last.y) / (first.x - last.x);
  const offset = slope * first.x - first.y;
  const low = LOW_FREQUENCY_FACTOR;
  // offset = low / (high − low) and slope = context / (high − low).
  const exact = {
    factor,
    lowFrequencyFactor: low,
    highFrequencyFactor: low + low / offset,
    originalContext: (slope * low) / offset,
  };
  const neat = {
    ...exact,
    factor: neatly(exact.factor),
    highFrequencyFactor: neatly(exact.highFrequencyFactor),
    originalContext: Math.round(exact.originalContext),
  };
  return [neat, exact].find((candidate) => gives(candidate, factors, base));
}

function neatly(value: number): number {
  return Number(value.toPrecision(4));
}

function gives(scaling: Llama3Scaling, factors: Float32Array, base: RopeBase): boolean {
  if (!(scaling.highFrequencyFactor > scaling.lowFrequencyFactor && scaling.originalContext > 0)) return false;
  return ropeFactors(scaling, base).every((value, i) => Math.abs(value / factors[i]! - 1) < TOLERANCE);
}
