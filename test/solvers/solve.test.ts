import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silent } from '../../src/events.js';
import { type Prune, type Removal, type Solver, solvers } from '../../src/solvers/index.js';
import { maskFrom, parsePattern } from '../../src/sparsity/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { correlatedTokens, damped, distance, gramOf, plainInverse, plainProduct, randomValues } from './random.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

async function removalOf(text: string, sparsity = 0.5): Promise<Removal> {
  const pattern = await parsePattern(text);
  if (pattern.kind === 'fixed') return { group: pattern.group, mask: (scores) => pattern.mask(scores) };
  return { mask: (scores) => pattern.mask(scores, { sparsity, compare: 'layer' }) };
}

interface Problem {
  readonly rows: number;
  readonly columns: number;
  readonly seed: number;
}

function problem({ rows, columns, seed }: Problem) {
  const tokens = correlatedTokens(3 * columns, columns, seed);
  return { gram: gramOf(tokens, columns), weight: randomValues(rows * columns, seed + 1), tokens };
}

async function preparePrune(name: string, gram: ReturnType<typeof gramOf>): Promise<Prune> {
  const solver = await solvers.load(name);
  if (solver.kind !== 'prunes') throw new Error(`${name} chooses no masks`);
  return solver.prepare({ ...gram, values: gram.values.slice() }, { name, device, report: silent });
}

/** (W − V) G (W − V)ᵀ, summed over rows: the error of the outputs, damping included. */
function loss(a: Float32Array, b: Float32Array, gram: ReturnType<typeof gramOf>): number {
  const n = gram.columns;
  const difference = Float64Array.from(a, (value, i) => value - b[i]!);
  const image = plainProduct(difference, damped(gram, 0.01), { rows: a.length / n, inner: n, columns: n });
  return difference.reduce((sum, value, i) => sum + value * image[i]!, 0);
}

const PRUNING = ['sparsegpt', 'sparsegpt-refit', 'alps'] as const;

describe('solvers that choose', () => {
  it('does better the more it corrects: sparsegpt beats zeroing by size, its refit beats it, ALPS beats that', async () => {
    const shape = { rows: 24, columns: 96, seed: 5 };
    const { gram, weight } = problem(shape);
    const results = new Map<string, number>();
    for (const name of PRUNING) {
      const values = weight.slice();
      const prune = await preparePrune(name, gram);
      await prune({ name: 'w', ...shape, values }, await removalOf('2:4'));
      results.set(name, loss(values, weight, gram));
    }
    const removal = await removalOf('2:4');
    const mask = removal.mask({ name: 'w', ...shape, values: weight.map(Math.abs) });
    const zeroed = weight.map((value, i) => (((mask.bits[i >>> 3]! >>> (i & 7)) & 1) === 1 ? value : 0));
    expect(results.get('sparsegpt')!).toBeLessThan(0.7 * loss(zeroed, weight, gram));
    expect(results.get('sparsegpt-refit')!).toBeLessThan(0.95 * results.get('sparsegpt')!);
    expect(results.get('alps')!).toBeLessThan(results.get('sparsegpt-refit')!);
  });
});

describe('sparsegpt', () => {
  it('of one row of two weights is what the formula says', async () => {
    // G = [[4, 2], [2, 3]] undamped up to 1 %: H = [[4.035, 2], [2, 3.035]], det 8.246225. Removing w₁ = 0.1 moves w₂ by
    // −w₁ · [H⁻¹]₁₂ / [H⁻¹]₁₁ = 0.1 · 2 / 3.035.
    const gram = { values: new Float32Array([4, 2, 2, 3]), columns: 2 };
    const values = new Float32Array([0.1, 1]);
    const prune = await preparePrune('sparsegpt', gram);
    await prune({ name: 'w', rows: 1, columns: 2, values }, await removalOf('1:2'));
    expect(values[0]).toBe(0);
    expect(values[1]).toBeCloseTo(1 + (0.1 * 2) / 3.035, 6);
  });

  it('ranks by w² / [H⁻¹]_jj of what is left: the loss of removing the weight', async () => {
    // Inputs without correlation: the loss is w² G_jj. 3² · 1 < 1² · 16 < 2² · 25.
    const gram = { values: new Float32Array([1, 0, 0, 0, 16, 0, 0, 0, 25]), columns: 3 };
    const values = new Float32Array([3, 1, 2]);
    const prune = await preparePrune('sparsegpt', gram);
    await prune({ name: 'w', rows: 1, columns: 3, values }, await removalOf('1:3'));
    expect([...values]).toEqual([0, 0, 2]);
  });

  it('leaves the rest of the sweep to the columns that can still move: the exact optimum for the last removed column', async () => {
    const shape = { rows: 3, columns: 12, seed: 8 };
    const { gram, weight } = problem(shape);
    const values = weight.slice();
    const removeFirst: Removal = {
      mask: ({ rows, columns }) =>
        maskFrom(
          Array.from({ length: rows * columns }, (_, i) => (i % columns === 0 ? 0 : 1)),
          rows,
          columns,
        ),
    };
    const prune = await preparePrune('sparsegpt', gram);
    await prune({ name: 'w', ...shape, values }, removeFirst);
    // With only column 0 gone, everything right of it is corrected at once: w − w₀ [H⁻¹]_0 / [H⁻¹]_00.
    const inverse = plainInverse(damped(gram, 0.01), 12);
    const expected = weight.map(
      (value, i) => value - (weight[Math.floor(i / 12) * 12]! * inverse[i % 12]!) / inverse[0]!,
    );
    expect(distance(values, expected)).toBeLessThan(1e-5);
  });

  it('removes weights of inputs that are always 0 before any other, and makes no number of them that is none', async () => {
    const gram = gramOf(correlatedTokens(40, 8, 2), 8);
    for (let i = 0; i < 8; i += 1) gram.values[3 * 8 + i] = gram.values[i * 8 + 3] = 0;
    const values = randomValues(32, 4).map((value) => value + 3 * Math.sign(value));
    const prune = await preparePrune('sparsegpt', gram);
    await prune({ name: 'w', rows: 4, columns: 8, values }, await removalOf('unstructured', 0.125));
    expect([...values.keys()].filter((i) => values[i] === 0)).toEqual([3, 11, 19, 27]);
    expect(values.every(Number.isFinite)).toBe(true);
  });

  it('keeps to the mask where the inputs are all 0: nothing is corrected', async () => {
    const values = new Float32Array([1, -3, 2, 4]);
    const prune = await preparePrune('sparsegpt', { values: new Float32Array(16), columns: 4 });
    await prune({ name: 'w', rows: 1, columns: 4, values }, await removalOf('2:4'));
    expect([...values]).toEqual([0, -3, 0, 4]);
  });
});

describe('refit', () => {
  it('comes near to the exact least squares on the mask, row by row', async () => {
    const [rows, columns] = [5, 24];
    const { gram, weight } = problem({ rows, columns, seed: 11 });
    const solver = (await solvers.load('refit')) as Extract<Solver, { kind: 'refits' }>;
    const solve = await solver.prepare({ ...gram, values: gram.values.slice() }, { name: 'w', device, report: silent });
    const keep = Array.from({ length: rows * columns }, (_, i) => (i * 5 + (i >> 3)) % 3 !== 0);
    const values = weight.slice();
    await solve({ name: 'w', rows, columns, values }, maskFrom(keep, rows, columns));
    const exact = exactFit(weight, damped(gram, 0.01), keep, columns);
    for (let i = 0; i < values.length; i += 1) if (!keep[i]) expect(values[i]).toBe(0);
    expect(distance(values, exact)).toBeLessThan(1e-2);
    expect(loss(values, weight, gram)).toBeLessThan(1.0001 * loss(Float32Array.from(exact), weight, gram));
  });
});

describe('alps', () => {
  it('refuses inputs that are too wide, by name and with a way out', async () => {
    const solver = (await solvers.load('alps')) as Extract<Solver, { kind: 'prunes' }>;
    expect(() => solver.checkColumns?.('model.down', 14_336)).toThrow(
      expect.objectContaining({ code: 'unsupported', tensor: 'model.down', message: expect.stringContaining('14336') }),
    );
    expect(() => solver.checkColumns?.('model.q', 4096)).not.toThrow();
  });
});

/** W₀ G_{:,S} (G_SS)⁻¹ of every row's own support S. */
function exactFit(wanted: Float32Array, gram: Float64Array, keep: readonly boolean[], n: number): Float64Array {
  const fitted = new Float64Array(wanted.length);
  for (let start = 0; start < wanted.length; start += n) {
    const support = Array.from({ length: n }, (_, j) => j).filter((j) => keep[start + j]);
    const square = Float64Array.from(support.flatMap((i) => support.map((j) => gram[i * n + j]!)));
    const sides = Float64Array.from(support, (j) =>
      wanted.subarray(start, start + n).reduce((sum, w, i) => sum + w * gram[i * n + j]!, 0),
    );
    const solved = plainProduct(sides, plainInverse(square, support.length), {
      rows: 1,
      inner: support.length,
      columns: support.length,
    });
    for (const [k, j] of support.entries()) fitted[start + j] = solved[k]!;
  }
  return fitted;
}
