import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silent } from '../../src/events.js';
import { type Gram, type Removal, solvers } from '../../src/solvers/index.js';
import { parsePattern } from '../../src/sparsity/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { correlatedTokens, gramOf, randomValues } from '../solvers/random.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

async function removalOf(text: string): Promise<Removal> {
  const pattern = await parsePattern(text);
  if (pattern.kind === 'fixed') return { group: pattern.group, mask: (scores) => pattern.mask(scores) };
  return { mask: (scores) => pattern.mask(scores, { sparsity: 0.5, compare: 'layer' }) };
}

interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** What a solver makes of a matrix; one that chooses no mask gets that of the largest weights. */
async function solve(name: string, matrix: Matrix, gram: Gram, removal: Removal): Promise<Float32Array> {
  const solver = await solvers.load(name);
  const values = matrix.values.slice();
  if (solver.kind === 'mask-only') return values;
  const copy = { values: gram.values.slice(), columns: gram.columns };
  const context = { name: 'the inputs', device, report: silent };
  const target = { ...matrix, name: 'w', values };
  if (solver.kind === 'prunes') {
    const prune = await solver.prepare(copy, context);
    await prune(target, removal);
  } else {
    const refit = await solver.prepare(copy, context);
    await refit(target, removal.mask({ ...matrix, name: 'w', values: matrix.values.map(Math.abs) }));
  }
  return values;
}

const shapes = fc.record({
  rows: fc.integer({ min: 1, max: 8 }),
  columns: fc.integer({ min: 1, max: 140 }),
  seed: fc.integer({ min: 1, max: 1e6 }),
});

describe.each(solvers.names)('solver %s', (name) => {
  it('keeps what the pattern keeps at most, brings nothing back, and makes numbers only', async () => {
    await fc.assert(
      fc.asyncProperty(
        shapes,
        fc.constantFrom('2:4', '1:3', 'unstructured'),
        async ({ rows, columns, seed }, pattern) => {
          const tokens = 1 + (seed % (3 * columns));
          const gram = gramOf(correlatedTokens(tokens, columns, seed), columns);
          const before = randomValues(rows * columns, seed).map((value, i) => ((i + seed) % 5 === 0 ? 0 : value));
          const removal = await removalOf(pattern);
          const after = await solve(name, { rows, columns, values: before }, gram, removal);
          const isUntouched = (await solvers.load(name)).kind === 'mask-only';
          if (isUntouched) expect(after).toEqual(before);
          for (let i = 0; i < after.length; i += 1) {
            expect(Number.isFinite(after[i])).toBe(true);
            if (before[i] === 0) expect(after[i]).toBe(0);
          }
          if (isUntouched || pattern === 'unstructured') return;
          const [kept, group] = pattern.split(':').map(Number) as [number, number];
          for (let row = 0; row < rows; row += 1) {
            for (let start = 0; start < columns; start += group) {
              const end = Math.min(start + group, columns);
              const stay = after.subarray(row * columns + start, row * columns + end).filter((value) => value !== 0);
              expect(stay.length).toBeLessThanOrEqual(kept);
            }
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  it('gives the same bits for the same inputs', async () => {
    const gram = gramOf(correlatedTokens(50, 40, 3), 40);
    const matrix = { rows: 6, columns: 40, values: randomValues(240, 4) };
    const removal = await removalOf('2:4');
    expect(await solve(name, matrix, gram, removal)).toEqual(await solve(name, matrix, gram, removal));
  });

  it('takes inputs that no token reached: nothing is known, and nothing is made up', async () => {
    const gram = { values: new Float32Array(16), columns: 4 };
    const values = new Float32Array([1, -3, 2, 4]);
    const after = await solve(name, { rows: 1, columns: 4, values }, gram, await removalOf('2:4'));
    const isUntouched = (await solvers.load(name)).kind === 'mask-only';
    expect([...after]).toEqual(isUntouched ? [...values] : [0, -3, 0, 4]);
  });
});
