import type { Random } from './random.js';

/** Values at which a reader's arithmetic changes its mind: signs, word sizes, 2^53, and products that wrap to small ones. */
export const BOUNDARIES: readonly bigint[] = [
  ...[0n, 1n, 2n, 3n, 7n, 8n, 31n, 32n, 33n, 63n, 64n, 127n, 128n, 255n, 256n],
  ...[2n ** 15n, 2n ** 16n - 1n, 2n ** 16n, 100_000_000n, 100_000_001n],
  ...[2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 1n],
  ...[2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 60n, 2n ** 61n, 2n ** 62n],
  ...[2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 8n, 2n ** 64n - 1n],
  // [4194305, 4194305, 211106198978564] multiplies to 4 in 64 bits.
  ...[4_194_305n, 211_106_198_978_564n],
];

/** A boundary, or a neighbour of `near` (off by one, by a power of two, doubled, halved). */
export function boundary(random: Random, near = 0n): bigint {
  if (random.oneIn(2)) return random.pick(BOUNDARIES);
  const step = 1n << BigInt(random.below(8));
  const changed = random.pick([near + step, near - step, near * 2n, near / 2n, near + 1n, near - 1n]);
  return BigInt.asUintN(64, changed);
}
