import { decodeToF32, encodeFromF32 } from '../tensor/index.js';
import type { Scheme } from './scheme.js';

/** What shares a scale and a zero. */
export interface TileParameters {
  readonly scale: number;
  /** Taken off a level before it is multiplied by the scale. */
  readonly zero: number;
}

/** Codes of up to 8 bits and what they stand for. */
export interface ElementType {
  /** Value of each code, before zero and scale. */
  readonly levels: Float32Array;
  /** The zero of every tile of a symmetric scheme. */
  readonly center: number;
  /** Level that the largest magnitude of a tile is brought to: absmax = top · scale. */
  readonly top: number;
  /** Writes the codes of values[start, end) to codes from `start` on: the nearest levels, beyond the ends the ends. */
  encode(values: Float32Array, start: number, end: number, run: EncodedRun): void;
}

export interface EncodedRun extends TileParameters {
  readonly codes: Uint8Array;
  /** Where the code of values[start] goes. */
  readonly at: number;
}

/** The codes of a scheme of at most 8 bits. */
export function elementsOf(scheme: Scheme): ElementType {
  if (scheme.type === 'int') return integers(scheme.bits);
  if (scheme.type === 'codebook') return NF4;
  return scheme.format === 'F8_E5M2' ? E5M2 : E4M3;
}

/** Adding and subtracting 1.5 · 2^52 rounds a double to the nearest whole number, ties to even, as PyTorch's `round` does. */
const ROUNDER = 6_755_399_441_055_744;

function integers(bits: number): ElementType {
  const most = 2 ** bits - 1;
  return {
    levels: Float32Array.from({ length: most + 1 }, (_, code) => code),
    center: 2 ** (bits - 1),
    // compressed-tensors, calculate_qparams: absmax / ((qmax − qmin) / 2), so that int4 divides by 7.5.
    top: most / 2,
    encode(values, start, end, { scale, zero, codes, at }) {
      for (let i = start, to = at; i < end; i += 1, to += 1) {
        const code = Math.fround(values[i]! / scale) + zero + ROUNDER - ROUNDER;
        codes[to] = Math.min(most, Math.max(0, code));
      }
    },
  };
}

/** A float format of 8 bits; values beyond the largest finite one become it, as they would in an engine that saturates. */
function narrowFloats(format: 'F8_E4M3' | 'F8_E5M2', top: number): ElementType {
  return {
    levels: decodeToF32(
      Uint8Array.from({ length: 256 }, (_, code) => code),
      format,
    ),
    center: 0,
    top,
    encode(values, start, end, { scale, codes, at }) {
      const scaled = new Float32Array(end - start);
      for (let i = start; i < end; i += 1) {
        const value = values[i]! / scale;
        scaled[i - start] = Math.min(top, Math.max(-top, value));
      }
      codes.set(encodeFromF32(scaled, format), at);
    },
  };
}

const E4M3 = narrowFloats('F8_E4M3', 448);
const E5M2 = narrowFloats('F8_E5M2', 57_344);

/**
 * The 16 levels of NormalFloat. Source: Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs", appendix E, in the
 * float32 values of bitsandbytes.
 */
export const NF4_LEVELS = Float32Array.of(
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
);

/** Midpoints between neighbouring levels; a value at one goes to the lower level, as in bitsandbytes. */
const NF4_BORDERS = Float32Array.from({ length: 15 }, (_, code) => (NF4_LEVELS[code]! + NF4_LEVELS[code + 1]!) / 2);

/** The code whose level is 0. */
const ZERO_LEVEL = 7;

const NF4: ElementType = {
  levels: NF4_LEVELS,
  center: 0,
  top: 1,
  encode(values, start, end, { scale, codes, at }) {
    // Only double quantization makes a scale of 0; whatever the code, it stands for 0 then.
    if (scale === 0) codes.fill(ZERO_LEVEL, at, at + end - start);
    else
      for (let i = start, to = at; i < end; i += 1, to += 1) {
        const value = Math.fround(values[i]! / scale);
        let code = value > NF4_BORDERS[7]! ? 8 : 0;
        if (value > NF4_BORDERS[code + 3]!) code += 4;
        if (value > NF4_BORDERS[code + 1]!) code += 2;
        if (value > NF4_BORDERS[code]!) code += 1;
        codes[to] = code;
      }
  },
};
