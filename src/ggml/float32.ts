/**
 * Single-precision arithmetic as C has it. A sum, difference, product, quotient or root of two float32 numbers, computed in
 * float64 and rounded by `Math.fround`, is the float32 result bit for bit, for float64 has more than twice its digits.
 */

const pattern = new Float32Array(1);
const patternBits = new Uint32Array(pattern.buffer);

/** 1.5 · 2^23: adding it to a float32 leaves no place for a fraction, so that the sum is rounded to a whole number. */
const WHOLE = 12_582_912;

/** The whole number nearest to a float32 below 2^22 in magnitude, ties to even. Source: ggml-quants.c (`nearest_int`). */
export function nearestInt(value: number): number {
  return Math.fround(value + WHOLE) - WHOLE;
}

/** The half-precision code of a float32, ties to even; the code of infinity beyond 65,504. */
export function halfCode(value: number): number {
  pattern[0] = value;
  const bits = patternBits[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude >= 0x4780_0000) return sign | (magnitude > 0x7f80_0000 ? 0x7e00 : 0x7c00);
  if (magnitude < 0x3880_0000) {
    // Adding 0.5 puts a subnormal half's last place where float32 rounds.
    pattern[0] = Math.abs(value) + 0.5;
    return sign | (patternBits[0]! - 0x3f00_0000);
  }
  const rest = magnitude - 0x3800_0000;
  return sign | ((rest + 0xfff + ((rest >>> 13) & 1)) >>> 13);
}

/** The value of a finite half-precision code. */
export function halfValue(code: number): number {
  const exponent = (code >>> 10) & 31;
  const mantissa = code & 0x3ff;
  const magnitude = exponent === 0 ? mantissa * 2 ** -24 : (mantissa + 1024) * 2 ** (exponent - 25);
  return code & 0x8000 ? -magnitude : magnitude;
}

/** Writes a float32 as a little-endian half and returns the value that it has there. */
export function putHalf(bytes: Uint8Array, at: number, value: number): number {
  const code = halfCode(value);
  bytes[at] = code & 0xff;
  bytes[at + 1] = code >>> 8;
  return halfValue(code);
}
