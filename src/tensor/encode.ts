import { BirdboneError } from '../errors.js';
import type { Dtype } from './dtype.js';

/**
 * Packed little-endian elements of type `dtype`, each the nearest to its value, ties to even. What is too large becomes Inf,
 * or NaN in F8_E4M3, which has no Inf (as PyTorch does). A NaN keeps its sign and as much of its payload as fits.
 * So `encodeFromF32(decodeToF32(bytes, dtype), dtype)` gives back `bytes` for every type of at most 32 bits.
 * Throws `unsupported` for types that are no plain float format.
 *
 * @example encodeFromF32(new Float32Array([1]), 'BF16') // Uint8Array [0x80, 0x3f]
 */
export function encodeFromF32(values: Float32Array, dtype: Dtype): Uint8Array {
  const encode = ENCODERS[dtype];
  if (encode === undefined) {
    throw new BirdboneError('unsupported', `Floats cannot be stored as type ${dtype}.`, {
      suggestions: [`Types that can: ${Object.keys(ENCODERS).join(', ')}`],
    });
  }
  return encode(values);
}

/** A float format narrower than float32, by what the rounding loop needs of it. Codes are without the sign bit. */
interface NarrowFormat {
  readonly bits: 8 | 16;
  readonly mantissaBits: number;
  readonly bias: number;
  readonly largestFinite: number;
  /** What a finite value beyond the largest rounds to, and Inf. */
  readonly overflow: number;
  /** The code that a NaN's payload is put into. */
  readonly nan: number;
}

const F16: NarrowFormat = {
  bits: 16,
  mantissaBits: 10,
  bias: 15,
  largestFinite: 0x7bff,
  overflow: 0x7c00,
  nan: 0x7c00,
};
const E5M2: NarrowFormat = { bits: 8, mantissaBits: 2, bias: 15, largestFinite: 0x7b, overflow: 0x7c, nan: 0x7c };
const E4M3: NarrowFormat = { bits: 8, mantissaBits: 3, bias: 7, largestFinite: 0x7e, overflow: 0x7f, nan: 0x7f };

function encodeNarrow(values: Float32Array, format: NarrowFormat): Uint8Array {
  const input = bitsOf(values);
  const output = format.bits === 16 ? new Uint16Array(input.length) : new Uint8Array(input.length);
  const { mantissaBits, bias, largestFinite, overflow, nan } = format;
  const dropped = 23 - mantissaBits;
  const half = 2 ** (dropped - 1);
  const smallestNormal = (128 - bias) * 2 ** 23;
  const rebias = (127 - bias) * 2 ** 23;
  for (let i = 0; i < input.length; i += 1) {
    const magnitude = input[i]! & 0x7fff_ffff;
    let code: number;
    if (magnitude > 0x7f80_0000) {
      code = nanCode(magnitude & 0x7f_ffff, nan, mantissaBits);
    } else if (magnitude >= smallestNormal) {
      const rest = magnitude - rebias;
      // Half of the last place minus one, plus the last kept bit: carries up above a tie, and at a tie only from odd to even.
      code = (rest + half - 1 + ((rest >>> dropped) & 1)) >>> dropped;
      if (code > largestFinite) code = overflow;
    } else {
      code = subnormalCode(magnitude, mantissaBits, bias);
    }
    output[i] = code | ((input[i]! >>> 31) << (format.bits - 1));
  }
  return new Uint8Array(output.buffer);
}

function nanCode(payload: number, nan: number, mantissaBits: number): number {
  const code = nan | (payload >>> (23 - mantissaBits));
  // A payload that lies wholly in the dropped bits must not turn the NaN into Inf: it becomes the quiet NaN.
  const isInf = nan === code && (nan & 1) === 0;
  return isInf ? code | (1 << (mantissaBits - 1)) : code;
}

function subnormalCode(magnitude: number, mantissaBits: number, bias: number): number {
  const exponent = magnitude >>> 23;
  const dropped = 23 - mantissaBits + (128 - bias - exponent);
  // Below half of the smallest subnormal, and float32's own subnormals.
  if (dropped > 24 || exponent === 0) return 0;
  const significand = (magnitude & 0x7f_ffff) | 0x80_0000;
  return (significand + 2 ** (dropped - 1) - 1 + ((significand >>> dropped) & 1)) >>> dropped;
}

function encodeBf16(values: Float32Array): Uint8Array {
  const input = bitsOf(values);
  const output = new Uint16Array(input.length);
  for (let i = 0; i < input.length; i += 1) {
    const bits = input[i]!;
    const magnitude = bits & 0x7fff_ffff;
    if (magnitude > 0x7f80_0000) {
      const code = bits >>> 16;
      output[i] = (code & 0x7f) === 0 ? code | 0x40 : code;
    } else {
      output[i] = (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
    }
  }
  return new Uint8Array(output.buffer);
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

const ENCODERS: Partial<Record<Dtype, (values: Float32Array) => Uint8Array>> = {
  F32: (values) => new Uint8Array(new Uint32Array(bitsOf(values)).buffer),
  F64: (values) => new Uint8Array(new Float64Array(values).buffer),
  BF16: encodeBf16,
  F16: (values) => encodeNarrow(values, F16),
  F8_E4M3: (values) => encodeNarrow(values, E4M3),
  F8_E5M2: (values) => encodeNarrow(values, E5M2),
};
