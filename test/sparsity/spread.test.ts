import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matricesWithPattern } from '../../src/sparsity/index.js';

const matrices = fc
  .array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 40 })
  .map((sizes) => sizes.map((elements, i) => ({ name: `w${i}`, elements })));
const fraction = fc.double({ min: 0, max: 1, noNaN: true });

describe('matricesWithPattern', () => {
  it('joins evenly over the depth, by hand', () => {
    const eight = Array.from({ length: 8 }, (_, i) => ({ name: `w${i}`, elements: 10 }));
    expect([...matricesWithPattern(eight, 0.5)]).toEqual(['w0', 'w4', 'w2', 'w6']);
    expect([...matricesWithPattern(eight, 0.3)]).toEqual(['w0', 'w4']);
    expect([...matricesWithPattern(eight.slice(0, 5), 1)]).toEqual(['w0', 'w4', 'w2', 'w1', 'w3']);
  });

  it('takes a fraction as it is meant, not as it is rounded', () => {
    const ten = Array.from({ length: 10 }, (_, i) => ({ name: `w${i}`, elements: 7 }));
    // 0.3 − 0.1 is 0.19999999999999998 in doubles.
    expect(matricesWithPattern(ten, 0.3 - 0.1).size).toBe(2);
  });

  it('covers at most the fraction, and could not take the next matrix too', () => {
    fc.assert(
      fc.property(matrices, fraction, (all, share) => {
        const total = all.reduce((sum, { elements }) => sum + elements, 0);
        const names = matricesWithPattern(all, share);
        const covered = all.filter(({ name }) => names.has(name)).reduce((sum, { elements }) => sum + elements, 0);
        expect(covered).toBeLessThanOrEqual(share * total + 1e-6);
        const next = [...matricesWithPattern(all, 1)][names.size];
        if (next === undefined) return;
        expect(covered + all.find(({ name }) => name === next)!.elements).toBeGreaterThan(share * total);
      }),
    );
  });

  it('only adds matrices as the fraction grows: none at 0, all at 1', () => {
    fc.assert(
      fc.property(matrices, fraction, fraction, (all, a, b) => {
        const fewer = matricesWithPattern(all, Math.min(a, b));
        const more = matricesWithPattern(all, Math.max(a, b));
        expect([...fewer].every((name) => more.has(name))).toBe(true);
        expect(matricesWithPattern(all, 0).size).toBe(0);
        expect(matricesWithPattern(all, 1).size).toBe(all.length);
      }),
    );
  });
});
