import fc from 'fast-check';
import { expect, it } from 'vitest';
import { sampleBatches, sampleTokens } from '../../src/damage/token-sample.js';
import { batchesOf } from '../../src/model/index.js';

const batches = (lengths: readonly number[], most: number) =>
  batchesOf(
    lengths.map((length) => ({ ids: new Int32Array(length) })),
    most,
  );

it('sampleTokens takes as many as were asked for, each once, of real tokens alone', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 9 }),
      fc.integer({ min: 1, max: 100 }),
      (lengths, wanted) => {
        const made = batches(lengths, 24);
        const sample = sampleTokens(made, wanted);
        const total = lengths.reduce((sum, length) => sum + length, 0);
        expect(sample.reduce((sum, { length }) => sum + length, 0)).toBe(Math.min(wanted, total));
        for (const [i, ordinals] of sample.entries()) {
          const real = made[i]!.lengths.reduce((sum, length) => sum + length, 0);
          expect([...ordinals]).toEqual([...new Set(ordinals)].sort((left, right) => left - right));
          for (const ordinal of ordinals) expect(ordinal).toBeLessThan(real);
        }
      },
    ),
  );
});

it('sampleBatches spreads over the text, and is never empty', () => {
  const made = batches(Array(10).fill(8), 8);
  expect(sampleBatches(made, 20)).toEqual([0, 4, 8]);
  expect(sampleBatches(made, 1)).toEqual([0]);
  expect(sampleBatches(made, 1000)).toHaveLength(10);
});
