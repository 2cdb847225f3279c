import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { removedCount } from '../../src/sparsity/index.js';

describe('removedCount', () => {
  it('takes the decimal fraction that was meant, not its binary rounding', () => {
    // In doubles: 0.07·100 = 7.000000000000001, 0.29·100 = 28.999999999999996, 0.57·100 = 56.99999999999999.
    expect(removedCount(100, 0.07)).toBe(7);
    expect(removedCount(100, 0.29)).toBe(29);
    expect(removedCount(100, 0.57)).toBe(57);
    expect(removedCount(3, 0.5)).toBe(1);
    expect(removedCount(7_000_000_000, 0.001)).toBe(7_000_000);
  });

  it('is ⌊count · digits / 10^places⌋ in exact integers, for models of any size', () => {
    const fraction = fc
      .integer({ min: 1, max: 6 })
      .chain((places) => fc.tuple(fc.constant(places), fc.integer({ min: 0, max: 10 ** places })));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 70_000_000_000 }), fraction, (count, [places, digits]) => {
        const exact = (BigInt(count) * BigInt(digits)) / 10n ** BigInt(places);
        expect(BigInt(removedCount(count, digits / 10 ** places))).toBe(exact);
      }),
      { numRuns: 2000 },
    );
  });

  it('survives the roundings of a schedule', () => {
    // 0.1 + 0.2 = 0.30000000000000004; 1 − 0.7 = 0.30000000000000004; 0.8 − 0.5 = 0.30000000000000004.
    for (const sparsity of [0.1 + 0.2, 1 - 0.7, 0.8 - 0.5, 3 * 0.1, 0.9 / 3])
      expect(removedCount(1000, sparsity)).toBe(300);
    expect(removedCount(10, 1 - 0.9)).toBe(1);
  });

  it('goes from nothing to everything, and not beyond', () => {
    expect(removedCount(10, 0)).toBe(0);
    expect(removedCount(10, 1)).toBe(10);
    for (const sparsity of [-0.1, 1.1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => removedCount(10, sparsity)).toThrow(expect.objectContaining({ code: 'usage' }));
    }
  });
});
