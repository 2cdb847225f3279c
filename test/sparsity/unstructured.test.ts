import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maskToBytes, parsePattern, removedCount } from '../../src/sparsity/index.js';
import { keepOracle } from './oracle.js';

async function keep(values: readonly number[], rows: number, removal: { sparsity: number; compare: 'row' | 'layer' }) {
  const pattern = await parsePattern('unstructured');
  if (pattern.kind !== 'free') throw new Error('unstructured leaves the sparsity open');
  const scores = { name: 'w', rows, columns: values.length / rows, values: Float32Array.from(values) };
  return [...maskToBytes(pattern.mask(scores, removal))];
}

/** Few distinct values, so that ties are the rule; some far apart, to use all bits of the key. */
const score = fc.constantFrom(0, -0, 1e-45, 1e-38, 0.5, 0.5 + 2 ** -24, 1, 1.5, 2, 256, 65536, 3.4e38).map(Math.fround);

describe('unstructured', () => {
  it('ranks by row or by matrix, by hand', async () => {
    const values = [1, 2, 3, 4, /* row 1 */ 5, 6, 7, 8];
    expect(await keep(values, 2, { sparsity: 0.5, compare: 'row' })).toEqual([0, 0, 1, 1, 0, 0, 1, 1]);
    expect(await keep(values, 2, { sparsity: 0.5, compare: 'layer' })).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
  });

  it('removes the lower index first among equals', async () => {
    expect(await keep([2, 1, 1, 1, 1, 0], 1, { sparsity: 0.5, compare: 'row' })).toEqual([1, 0, 0, 1, 1, 0]);
    expect(await keep([0, -0, 0, -0], 1, { sparsity: 0.5, compare: 'row' })).toEqual([0, 0, 1, 1]);
  });

  it('equals plain sorting, row by row and over the matrix', async () => {
    const shape = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 40 }));
    const matrix = shape.chain(([rows, columns]) =>
      fc.tuple(
        fc.constant(rows),
        fc.array(fc.oneof(score, fc.float({ min: 0, noNaN: true, noDefaultInfinity: true })), {
          minLength: rows * columns,
          maxLength: rows * columns,
        }),
      ),
    );
    await fc.assert(
      fc.asyncProperty(matrix, fc.double({ min: 0, max: 1, noNaN: true }), async ([rows, values], sparsity) => {
        const columns = values.length / rows;
        const byRow = Array.from({ length: rows }, (_, row) =>
          keepOracle(values.slice(row * columns, (row + 1) * columns), removedCount(columns, sparsity)),
        ).flat();
        expect((await keep(values, rows, { sparsity, compare: 'row' })).map(Boolean)).toEqual(byRow);
        const byLayer = keepOracle(values, removedCount(values.length, sparsity));
        expect((await keep(values, rows, { sparsity, compare: 'layer' })).map(Boolean)).toEqual(byLayer);
      }),
      { numRuns: 300 },
    );
  });

  it('only adds removals as the sparsity grows', async () => {
    const values = Array.from({ length: 97 }, (_, i) => (i * 37) % 11);
    let before = await keep(values, 1, { sparsity: 0, compare: 'layer' });
    for (let percent = 1; percent <= 100; percent++) {
      const now = await keep(values, 1, { sparsity: percent / 100, compare: 'layer' });
      expect(now.every((kept, i) => kept <= before[i]!)).toBe(true);
      before = now;
    }
    expect(before).toEqual(values.map(() => 0));
  });
});
