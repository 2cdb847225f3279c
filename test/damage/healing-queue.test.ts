import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { healingQueue, type MatrixDamage, severityOf } from '../../src/damage/index.js';

const matrix = (weight: string, atOutput: number, rows = 4, columns = 8): MatrixDamage => {
  const unknown = { own: null, total: null, effect: null };
  return { block: 0, weight, role: 'q', rows, columns, ...unknown, atOutput, severity: severityOf(atOutput) };
};

describe('healingQueue', () => {
  it('ranks by the part of the squared damage over the part of the cost, by hand', () => {
    const matrices = [matrix('large', 0.2, 30, 2), matrix('small', 0.1, 5, 2), matrix('whole', 0, 30, 1)];
    const queue = healingQueue({ matrices });
    // Squares 0.04 and 0.01, costs 60 and 10 of 100.
    expect(queue.map(({ weight }) => weight)).toEqual(['small', 'large']);
    expect(queue[0]!.share).toBeCloseTo(0.2, 12);
    expect(queue[0]!.costShare).toBeCloseTo(0.1, 12);
    expect(queue[0]!.priority).toBeCloseTo(2, 12);
    expect(queue[1]!.priority).toBeCloseTo(0.8 / 0.6, 12);
    expect(queue[1]).toMatchObject({ rank: 2, severity: 'severe', role: 'q' });
    expect(queue[1]!.cumulativeShare).toBeCloseTo(1, 12);
    expect(queue[1]!.cumulativeCost).toBeCloseTo(0.7, 12);
  });

  it('has each damaged matrix once, the highest priority first, whatever the damage is', () => {
    const entry = fc.tuple(fc.constantFrom(0, 0.001, 0.02, 0.3, 1), fc.integer({ min: 1, max: 64 }));
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 12 }), (entries) => {
        const matrices = entries.map(([atOutput, rows], i) => matrix(String(i), atOutput, rows));
        const queue = healingQueue({ matrices });
        expect(new Set(queue.map(({ weight }) => weight)).size).toBe(queue.length);
        expect(queue.length).toBe(entries.filter(([atOutput]) => atOutput > 0).length);
        for (const [i, { priority }] of queue.slice(1).entries())
          expect(priority).toBeLessThanOrEqual(queue[i]!.priority);
        if (queue.length > 0) expect(queue.at(-1)!.cumulativeShare).toBeCloseTo(1, 9);
      }),
    );
  });
});

it('severityOf has its limits where the page says', () => {
  const limits = [0, 0.00999, 0.01, 0.05, 0.15, 0.4, 7];
  expect(limits.map(severityOf)).toEqual(['none', 'none', 'slight', 'moderate', 'severe', 'critical', 'critical']);
});
