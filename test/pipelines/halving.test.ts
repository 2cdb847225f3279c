import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byFronts, type Point, paretoFront, rounds, survivors } from '../../src/pipelines/halving.js';
import { interactionOf } from '../../src/pipelines/interaction.js';

const point = fc.record({ bytes: fc.integer({ min: 1, max: 6 }), loss: fc.integer({ min: 0, max: 6 }) });
const points = fc.array(point, { maxLength: 12 });

/** The definition, pair by pair. */
const beats = (a: Point, b: Point) => a.bytes <= b.bytes && a.loss <= b.loss && (a.bytes < b.bytes || a.loss < b.loss);

describe('a Pareto front', () => {
  it('has what nothing beats, one of equal points, the smallest first', () => {
    fc.assert(
      fc.property(points, (all) => {
        const front = paretoFront(all);
        const unbeaten = all.filter((one) => !all.some((other) => beats(other, one)));
        const texts = (list: readonly Point[]) =>
          [...new Set(list.map(({ bytes, loss }) => `${bytes} ${loss}`))].sort();
        expect(texts(front)).toEqual(texts(unbeaten));
        expect(front.map(({ bytes }) => bytes)).toEqual(
          [...new Set(front.map(({ bytes }) => bytes))].sort((a, b) => a - b),
        );
      }),
    );
  });

  it('comes before what it beats: every point once, none before one that beats it', () => {
    fc.assert(
      fc.property(points, (all) => {
        const ranked = byFronts(all);
        expect(new Set(ranked).size).toBe(all.length);
        ranked.forEach((one, index) => {
          expect(ranked.slice(index + 1).some((later) => beats(later, one))).toBe(false);
        });
      }),
    );
  });
});

describe('successive halving', () => {
  it('asks for a ninth, a third and all of the passages, and never for less than four', () => {
    expect([90, 20, 5, 3, 1].map(rounds)).toEqual([[10, 30, 90], [4, 7, 20], [4, 5], [3], [1]]);
  });

  it('keeps a third, and at least four', () => {
    expect([64, 20, 9, 3].map(survivors)).toEqual([22, 7, 4, 3]);
  });
});

describe('an interaction', () => {
  it('is what steps cost together beyond the sum of what they cost alone', () => {
    const alone = [
      { name: 'a', size: 0.5, nats: 0.25, accuracyLoss: 0.125 },
      { name: 'b', size: 0.25, nats: 0.5, accuracyLoss: 0.0625 },
    ];
    const together = { name: 'a + b', size: 0.1, nats: 1, accuracyLoss: 0.125 };
    expect(interactionOf(together, alone)).toEqual({
      alone,
      together,
      expectedNats: 0.75,
      extraNats: 0.25,
      expectedAccuracyLoss: 0.1875,
      extraAccuracyLoss: -0.0625,
      expectedSize: 0.125,
    });
  });
});
