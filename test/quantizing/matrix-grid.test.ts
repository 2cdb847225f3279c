import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dequantizeMatrix, quantizeMatrix, type Scheme, schemeOf, schemes } from '../../src/quantization/index.js';
import { MatrixGrid } from '../../src/quantizing/matrix-grid.js';
import { gptq, prepareGptq } from '../../src/solvers/index.js';
import { correlatedTokens, gramOf, randomValues } from '../solvers/random.js';

/** Every scheme with codes, in small groups where it has any, and with zero points where it may. */
const SCHEMES: readonly Scheme[] = [...schemes].flatMap(([name, { bits, strategy, type, activations }]) => {
  if (bits === 16) return [];
  const options = strategy === 'group' ? { groupSize: 5 } : {};
  const rest = type === 'int' && activations === undefined ? [schemeOf(name, { ...options, asymmetric: true })] : [];
  return [schemeOf(name, options), ...rest];
});
const BLOCKS = schemeOf('fp8', { blockShape: [3, 4] });
const TENSOR = schemeOf('int8', { groupSize: 'tensor' });

const problems = fc.record({
  rows: fc.integer({ min: 1, max: 7 }),
  columns: fc.integer({ min: 1, max: 23 }),
  seed: fc.integer({ min: 1, max: 1e6 }),
  fittedBefore: fc.boolean(),
  scheme: fc.constantFrom(...SCHEMES, BLOCKS, TENSOR),
});

function weightOf(rows: number, columns: number, seed: number): Float32Array {
  return randomValues(rows * columns, seed).map((value, i) => ((i + seed) % 4 === 0 ? 0 : value));
}

describe('a matrix of a scheme under the sweep', () => {
  it('keeps codes that stand for the very numbers that the sweep went on with, and leaves what is gone at 0', async () => {
    await fc.assert(
      fc.asyncProperty(problems, async ({ rows, columns, seed, fittedBefore, scheme }) => {
        const before = weightOf(rows, columns, seed);
        const values = before.slice();
        const grid = new MatrixGrid({ values, rows, columns }, scheme, { search: 'absmax', fittedBefore });
        const gram = gramOf(correlatedTokens(1 + (seed % 40), columns, seed), columns);
        const inputs = await prepareGptq(gram, { actOrder: fittedBefore });
        await gptq({ name: 'w', rows, columns, values }, grid, inputs);
        const result = grid.result();
        expect(dequantizeMatrix(result)).toEqual(values);
        for (let i = 0; i < values.length; i += 1) if (before[i] === 0) expect(values[i] === 0).toBe(true);
        const shape = quantizeMatrix(before, rows, columns, scheme).scales.shape;
        expect(result.scales.shape).toEqual(shape);
      }),
      { numRuns: 120 },
    );
  });

  it('is plain rounding where inputs say nothing of one another', async () => {
    await fc.assert(
      fc.asyncProperty(problems, async ({ rows, columns, seed, fittedBefore, scheme }) => {
        const before = weightOf(rows, columns, seed);
        const values = before.slice();
        const grid = new MatrixGrid({ values, rows, columns }, scheme, { search: 'absmax', fittedBefore });
        const gram = Float32Array.from({ length: columns * columns }, (_, i) => (i % (columns + 1) === 0 ? 1 + i : 0));
        await gptq({ name: 'w', rows, columns, values }, grid, await prepareGptq({ values: gram, columns }, {}));
        expect(grid.result()).toEqual(quantizeMatrix(before, rows, columns, scheme));
      }),
      { numRuns: 120 },
    );
  });
});
