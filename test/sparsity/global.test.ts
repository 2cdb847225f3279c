import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MatrixScores, maskGlobally, maskToBytes, removedCount } from '../../src/sparsity/index.js';
import { keepOracle } from './oracle.js';

function matrixOf(name: string, values: readonly number[]): MatrixScores {
  return { name, rows: 1, columns: values.length, values: Float32Array.from(values) };
}

async function keepGlobally(matrices: readonly (readonly number[])[], sparsity: number): Promise<boolean[]> {
  const scores = new Map(matrices.map((values, i) => [`w${i}`, matrixOf(`w${i}`, values)]));
  const kept: boolean[] = [];
  const names: string[] = [];
  for await (const { name, mask } of maskGlobally([...scores.keys()], sparsity, async (name) => scores.get(name)!)) {
    names.push(name);
    kept.push(...[...maskToBytes(mask)].map(Boolean));
  }
  expect(names).toEqual([...scores.keys()]);
  return kept;
}

describe('maskGlobally', () => {
  it('lets matrices compete: the one with small scores loses more', async () => {
    expect(
      await keepGlobally(
        [
          [1, 2, 3, 4],
          [10, 20, 0.5],
        ],
        0.43,
      ),
    ).toEqual([false, false, true, true, true, true, false]);
  });

  it('breaks ties by matrix order, then index', async () => {
    expect(
      await keepGlobally(
        [
          [1, 1],
          [1, 1],
          [1, 1],
        ],
        0.5,
      ),
    ).toEqual([false, false, false, true, true, true]);
  });

  it('removes exactly what sorting all weights together removes', async () => {
    const score = fc.oneof(
      fc.constantFrom(0, -0, 1e-45, 1, 1 + 2 ** -23, 1 + 2 ** -7, 3.4e38),
      fc.float({ min: 0, noNaN: true, noDefaultInfinity: true }),
    );
    const matrices = fc.array(fc.array(score.map(Math.fround), { minLength: 1, maxLength: 30 }), {
      minLength: 1,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(matrices, fc.double({ min: 0, max: 1, noNaN: true }), async (values, sparsity) => {
        const all = values.flat();
        expect(await keepGlobally(values, sparsity)).toEqual(keepOracle(all, removedCount(all.length, sparsity)));
      }),
      { numRuns: 300 },
    );
  });

  it('asks for one matrix at a time, three times each', async () => {
    const asked: string[] = [];
    const masks = maskGlobally(['a', 'b'], 0.5, async (name) => {
      asked.push(name);
      return matrixOf(name, [1, 2, 3]);
    });
    for await (const { mask } of masks) expect(mask.columns).toBe(3);
    expect(asked).toEqual(['a', 'b', 'a', 'b', 'a', 'b']);
  });

  it('names the matrix whose scores have no rank', async () => {
    const masks = maskGlobally(['fine', 'broken'], 0.5, async (name) =>
      matrixOf(name, name === 'broken' ? [1, Number.NaN, 2] : [1, 2]),
    );
    await expect(masks.next()).rejects.toMatchObject({ code: 'unsupported', tensor: 'broken' });
  });
});
