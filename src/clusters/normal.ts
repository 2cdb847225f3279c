import type { Random } from '../random.js';

/** Returns a number from the standard normal distribution (Box & Muller 1958). */
export function nextNormal(random: Random): number {
  // From 2⁻³² to 1: the logarithm is never of 0.
  const radius = Math.sqrt(-2 * Math.log((random.bits() + 1) / 2 ** 32));
  return radius * Math.cos((2 * Math.PI * random.bits()) / 2 ** 32);
}
