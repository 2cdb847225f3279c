/** Tables from every code of a float format of at most 16 bits to its float32 bit pattern. */

/** An IEEE-like format: sign, `exponentBits`, `mantissaBits`, subnormals, all-ones exponent = Inf and NaN. */
export function ieeeTable(exponentBits: number, mantissaBits: number): Uint32Array<ArrayBuffer> {
  const special = 2 ** exponentBits - 1;
  return floatTable(exponentBits, mantissaBits, (exponent, mantissa) =>
    exponent === special ? 0x7f80_0000 | (mantissa << (23 - mantissaBits)) : undefined,
  );
}

/** OCP 8-bit E4M3 ("fn": finite): no Inf, and only the two all-ones codes are NaN. Source: OCP OFP8 specification 1.0, table 1. */
export function e4m3Table(): Uint32Array<ArrayBuffer> {
  return floatTable(4, 3, (exponent, mantissa) => (exponent === 15 && mantissa === 7 ? 0x7fc0_0000 : undefined));
}

/** OCP 8-bit scale: 2^(code − 127), 255 is NaN. Source: OCP Microscaling (MX) specification 1.0, section 5.4.1. */
export function e8m0Table(): Uint32Array<ArrayBuffer> {
  const values = Float32Array.from({ length: 256 }, (_, code) => (code === 255 ? Number.NaN : 2 ** (code - 127)));
  return new Uint32Array(values.buffer);
}

function floatTable(
  exponentBits: number,
  mantissaBits: number,
  specialBits: (exponent: number, mantissa: number) => number | undefined,
): Uint32Array<ArrayBuffer> {
  const bias = 2 ** (exponentBits - 1) - 1;
  const magnitudes = 2 ** (exponentBits + mantissaBits);
  const values = new Float32Array(2 * magnitudes);
  const bits = new Uint32Array(values.buffer);
  for (let code = 0; code < magnitudes; code += 1) {
    const exponent = code >>> mantissaBits;
    const mantissa = code & (2 ** mantissaBits - 1);
    // A subnormal has no implicit 1 and the exponent of the smallest normal number.
    values[code] =
      (mantissa + (exponent === 0 ? 0 : 2 ** mantissaBits)) * 2 ** (Math.max(exponent, 1) - bias - mantissaBits);
    bits[code] = specialBits(exponent, mantissa) ?? bits[code]!;
    bits[code + magnitudes] = bits[code]! | 0x8000_0000;
  }
  return bits;
}
