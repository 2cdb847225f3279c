import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keptCount, type Mask, maskToBytes, parsePattern } from '../../src/sparsity/index.js';

async function maskOf(
  values: readonly number[],
  rows: number,
  removal: { removed: number; compare: 'row' | 'layer' },
): Promise<Mask> {
  const pattern = await parsePattern('unstructured');
  if (pattern.kind !== 'free') throw new Error('unstructured leaves the sparsity open');
  return pattern.mask({ name: 'w', rows, columns: values.length / rows, values: Float32Array.from(values) }, removal);
}

const matrix = fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 9 })).chain(([rows, columns]) =>
  fc.record({
    rows: fc.constant(rows),
    // Few distinct values: ties are the rule.
    values: fc.array(fc.integer({ min: 0, max: 6 }), { minLength: rows * columns, maxLength: rows * columns }),
    removed: fc.integer({ min: 0, max: rows * columns }),
  }),
);

describe('a count of weights', () => {
  it('is removed exactly: from the matrix its smallest, from rows alike and one more where that is cheapest', async () => {
    await fc.assert(
      fc.asyncProperty(
        matrix,
        fc.constantFrom('row' as const, 'layer' as const),
        async ({ rows, values, removed }, compare) => {
          const mask = await maskOf(values, rows, { removed, compare });
          expect(values.length - keptCount(mask)).toBe(removed);
          expect([...maskToBytes(mask)]).toEqual(oracle(values, compare === 'row' ? rows : 1, removed));
        },
      ),
      { numRuns: 500, seed: 5 },
    );
  });

  it('grows without taking back: what a smaller count removes, a larger one does too', async () => {
    await fc.assert(
      fc.asyncProperty(matrix, async ({ rows, values, removed }) => {
        const fewer = maskToBytes(await maskOf(values, rows, { removed: Math.floor(removed / 2), compare: 'row' }));
        const more = maskToBytes(await maskOf(values, rows, { removed, compare: 'row' }));
        fewer.forEach((kept, i) => {
          if (kept === 0) expect(more[i]).toBe(0);
        });
      }),
      { numRuns: 200, seed: 6 },
    );
  });
});

/** One weight after the other: of the group that has lost least, and of those groups whose next weight is smallest. */
function oracle(values: readonly number[], groups: number, removed: number): number[] {
  const kept = values.map(() => 1);
  const size = values.length / groups;
  const lost = new Array<number>(groups).fill(0);
  for (let step = 0; step < removed; step++) {
    const least = Math.min(...lost);
    const next = values
      .map((value, i) => ({ value, i, group: Math.floor(i / size) }))
      .filter(({ i, group }) => kept[i] === 1 && lost[group] === least)
      .sort((a, b) => a.value - b.value || a.i - b.i)[0]!;
    kept[next.i] = 0;
    lost[next.group]! += 1;
  }
  return kept;
}
