import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { roomUsed } from '../../src/evaluation/gate-room.js';

const plain = { confident: false };

describe('roomUsed', () => {
  it('is the part of the way from the dense model to the limit, of the term that is nearest to its limit', () => {
    expect(roomUsed([{ metric: 'accuracy', value: 0.012, limit: 0.03 }], plain)).toBeCloseTo(0.4, 12);
    expect(roomUsed([{ metric: 'perplexity', value: 1.02, limit: 1.1 }], plain)).toBeCloseTo(0.2, 12);
    expect(roomUsed([{ metric: 'kl', value: 0.06, limit: 0.05 }], plain)).toBeCloseTo(1.2, 12);
    // 96 % where 95 % is the least, and the dense model agrees with itself everywhere.
    expect(roomUsed([{ metric: 'agreement', value: 0.96, limit: 0.95 }], plain)).toBeCloseTo(0.8, 12);
    const both = [
      { metric: 'accuracy', value: 0.012, limit: 0.03 },
      { metric: 'perplexity', value: 1.09, limit: 1.1 },
    ];
    expect(roomUsed(both, plain)).toBeCloseTo(0.9, 12);
  });

  it('takes a gain for no loss', () => {
    expect(roomUsed([{ metric: 'accuracy', value: -0.01, limit: 0.03 }], plain)).toBe(0);
    expect(roomUsed([{ metric: 'perplexity', value: 0.98, limit: 1.1 }], plain)).toBe(0);
  });

  it('counts the worse end of the interval where the verdict does', () => {
    const loss = { metric: 'accuracy', value: 0.012, limit: 0.03, interval: [0.006, 0.018] as const };
    expect(roomUsed([loss], { confident: true })).toBeCloseTo(0.6, 12);
    const same = { metric: 'agreement', value: 0.96, limit: 0.9, interval: [0.94, 0.98] as const };
    expect(roomUsed([same], { confident: true })).toBeCloseTo(0.6, 12);
  });

  it('has nothing to say without terms, of a metric that no gate has, and of what is not a number', () => {
    expect(roomUsed([], plain)).toBeUndefined();
    expect(roomUsed([{ metric: 'toString', value: 0.1, limit: 1 }], plain)).toBeUndefined();
    for (const value of [Number.NaN, null as unknown as number])
      expect(roomUsed([{ metric: 'kl', value, limit: 1 }], plain)).toBeUndefined();
  });

  it('is all or nothing under a gate that leaves the dense model no room', () => {
    expect(roomUsed([{ metric: 'accuracy', value: 0, limit: 0 }], plain)).toBe(0);
    expect(roomUsed([{ metric: 'accuracy', value: 0.001, limit: 0 }], plain)).toBe(Number.POSITIVE_INFINITY);
    expect(roomUsed([{ metric: 'perplexity', value: 0.4, limit: 0.5 }], plain)).toBe(0);
  });

  it('is at most 1 exactly where the limit holds', () => {
    fc.assert(
      fc.property(fc.double({ min: -1, max: 2, noNaN: true }), (value) => {
        const limit = 0.25;
        expect(roomUsed([{ metric: 'kl', value, limit }], plain)! <= 1).toBe(value <= limit);
      }),
    );
  });
});
