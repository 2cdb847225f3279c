import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { trainer } from '../../src/healing/index.js';
import type { HealSettings, StateArray, TrainState } from '../../src/healing/types.js';
import type { LinearSpec } from '../../src/model/index.js';
import { uniform } from '../reference/tiny-model.js';
import { settingsFor } from './patient.js';

const spec = (rows: number, columns: number): LinearSpec => ({
  role: 'q',
  input: 'attention-norm',
  weight: 'w',
  rows,
  columns,
});

function values(count: number, seed: number): Float32Array {
  const random = uniform(seed);
  return Float32Array.from({ length: count }, () => random() - 0.5);
}

function stateOf(arrays: Record<string, StateArray>): TrainState {
  return { step: 1, skipped: 0, rateScale: 1, arrays: new Map(Object.entries(arrays)) };
}

/** A weight with zeros of both signs, and the state of an adapter beside it. */
const cases = fc
  .record({
    rows: fc.integer({ min: 1, max: 9 }),
    columns: fc.integer({ min: 1, max: 9 }),
    rank: fc.integer({ min: 1, max: 12 }),
    seed: fc.nat(),
  })
  .map(({ rows, columns, rank, seed }) => {
    const own = Math.min(rank, rows, columns);
    const random = uniform(seed);
    const weight = values(rows * columns, seed).map((value) => (random() < 0.4 ? (random() < 0.5 ? 0 : -0) : value));
    const left = values(rows * own, seed + 1);
    const right = values(own * columns, seed + 2);
    const state = stateOf({
      'w.B': { shape: [rows, own], values: left },
      'w.A': { shape: [own, columns], values: right },
    });
    return { rows, columns, rank, own, weight, left, right, state };
  });

describe('merge', () => {
  it('adds the product to what is kept, and keeps every zero with its sign', () => {
    fc.assert(
      fc.property(cases, fc.boolean(), ({ rows, columns, rank, own, weight, left, right, state }, masked) => {
        const settings = settingsFor({ linears: ['w'] }, { rank, alpha: 3, masked });
        const before = weight.slice();
        const merged = trainer.merge(spec(rows, columns), weight, state, settings);
        expect(weight).toEqual(before);
        merged.forEach((value, i) => {
          const [row, column] = [Math.floor(i / columns), i % columns];
          let sum = 0;
          for (let k = 0; k < own; k++) sum += left[row * own + k]! * right[k * columns + column]!;
          if (masked && weight[i] === 0) expect(Object.is(value, weight[i])).toBe(true);
          else expect(Math.abs(value - (weight[i]! + (3 / rank) * sum))).toBeLessThan(2e-6);
        });
      }),
    );
  });

  it('gives the factors whose product it adds', () => {
    fc.assert(
      fc.property(cases, ({ rows, columns, rank, own, weight, state }) => {
        const settings = settingsFor({ linears: ['w'] }, { rank, masked: false });
        const merged = trainer.merge(spec(rows, columns), weight, state, settings);
        const factors = trainer.factors(spec(rows, columns), state, settings)!;
        expect(factors.rank).toBe(own);
        for (let i = 0; i < merged.length; i++) {
          let sum = weight[i]!;
          for (let k = 0; k < own; k++)
            sum += factors.left[Math.floor(i / columns) * own + k]! * factors.right[k * columns + (i % columns)]!;
          expect(merged[i]).toBe(Math.fround(sum));
        }
      }),
    );
  });

  it('adds differences of full rank where something is kept', () => {
    const settings: HealSettings = settingsFor({ linears: ['w'] }, { rank: 'full' });
    const state = stateOf({ 'w.D': { shape: [2, 2], values: Float32Array.of(0.5, 0.5, -1, 2) } });
    expect(trainer.merge(spec(2, 2), Float32Array.of(1, 0, -2, -0), state, settings)).toEqual(
      Float32Array.of(1.5, 0, -3, -0),
    );
    expect(trainer.factors(spec(2, 2), state, settings)).toBeUndefined();
  });
});
