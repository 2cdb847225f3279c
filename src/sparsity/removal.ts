import { BirdboneError } from '../errors.js';

/** Covers the rounding of a decimal fraction, of the product and of the sums a schedule makes of it: a few units of 2⁻⁵². */
const ROUNDING = 8 * Number.EPSILON;

/**
 * How many of `count` weights a sparsity removes: ⌊count · sparsity⌋ of the decimal numbers that are meant, not of their
 * binary roundings (0.29 · 100 is 28.999999999999996 in doubles; 29 are removed).
 *
 * Throws `usage` for a sparsity outside 0…1.
 */
export function removedCount(count: number, sparsity: number): number {
  if (!(sparsity >= 0 && sparsity <= 1)) {
    throw new BirdboneError('usage', `A sparsity of ${sparsity} is impossible: it is the fraction removed, 0 to 1.`, {
      suggestions: ['Write half of the weights as 0.5.'],
    });
  }
  const product = count * sparsity;
  return Math.min(count, Math.floor(product + product * ROUNDING));
}
