/**
 * WGSL of scores as they compete for staying, of which sparsity/scores.ts is the definition: the bit pattern of a score of 0 or
 * more, read as an integer, ranks as the score does; −0 ranks as 0.
 */
export const RANK_KEY = `
  fn keyOf(bits: u32) -> u32 { return select(bits, 0u, bits == 0x80000000u); }
  // Infinities and numbers that are none lie above the finite ones, negative scores above all of them.
  fn hasNoRank(bits: u32) -> bool { return keyOf(bits) >= 0x7f800000u; }`;
