/**
 * WGSL of `halfValue(code)`, what a half-precision code of a number that is not negative stands for (the code of infinity: 2^16, as
 * if it were the next number), and `halfBits(value)`, its inverse with ties to even. Whole-number arithmetic and exact sums alone: the
 * built-in conversions may round as they like.
 */
export const HALF_BITS = `
  fn halfValue(code: u32) -> f32 {
    let mantissa = code & 1023u;
    if (code < 1024u) { return f32(mantissa) * 5.9604644775390625e-8; }
    return bitcast<f32>((code << 13u) + 0x38000000u);
  }
  fn halfBits(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    if (bits >= 0x47800000u) { return 0x7c00u; }
    // Adding 0.5 puts a subnormal half's last place where float32 rounds.
    if (bits < 0x38800000u) { return bitcast<u32>(value + 0.5) - 0x3f000000u; }
    let rest = bits - 0x38000000u;
    return (rest + 0xfffu + ((rest >> 13u) & 1u)) >> 13u;
  }`;
