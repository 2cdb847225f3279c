import { afterAll, beforeAll, expect, it } from 'vitest';
import { gptq, prepareGptq, type Removal } from '../../src/solvers/index.js';
import { parsePattern } from '../../src/sparsity/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { correlatedTokens, damped, gramOf, plainInverse, randomValues } from './random.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

const STEP = 0.125;
const rounded = (value: number) => STEP * Math.round(value / STEP);

interface Case {
  readonly rows: number;
  readonly columns: number;
  /** Columns whose mask is chosen together, when the first of them comes. */
  readonly together: number;
  /** Which of these weights (row-major, some columns) go: the lowest scores. */
  readonly gone: (scores: Float64Array, columns: number) => ReadonlySet<number>;
}

/**
 * Joint pruning and rounding from the definition, in float64: the inverse of what is left of H is made anew for every column. A
 * weight's score is w² / [H⁻¹]_jj with all columns before it gone; what is removed is rounded to 0, and the columns after it make up
 * for that as for any rounding.
 */
function byDefinition(weight: Float32Array, hessian: Float64Array, { rows, columns, together, gone }: Case) {
  const values = Float64Array.from(weight);
  const inverses = Array.from({ length: columns }, (_, from) => {
    const n = columns - from;
    const part = Float64Array.from({ length: n * n }, (_, i) => {
      return hessian[(from + Math.floor(i / n)) * columns + from + (i % n)]!;
    });
    return plainInverse(part, n);
  });
  const removed = new Uint8Array(values.length);
  for (let j = 0; j < columns; j += 1) {
    if (j % together === 0) {
      const width = Math.min(together, columns - j);
      const scores = Float64Array.from({ length: rows * width }, (_, i) => {
        const column = j + (i % width);
        return values[Math.floor(i / width) * columns + column]! ** 2 / inverses[column]![0]!;
      });
      for (const i of gone(scores, width)) removed[Math.floor(i / width) * columns + j + (i % width)] = 1;
    }
    const inverse = inverses[j]!;
    for (let row = 0; row < rows; row += 1) {
      const at = row * columns + j;
      const stored = removed[at] === 1 ? 0 : rounded(values[at]!);
      const error = values[at]! - stored;
      for (let k = 0; k < columns - j; k += 1) values[at + k]! -= (error * inverse[k]!) / inverse[0]!;
      values[at] = stored;
    }
  }
  return { values, removed };
}

/** Places of so many of the lowest scores. */
function lowest(scores: Float64Array, places: readonly number[], count: number): number[] {
  return [...places].sort((a, b) => scores[a]! - scores[b]! || a - b).slice(0, count);
}

const twoOfFour: Case['gone'] = (scores) => {
  const groups = Array.from({ length: scores.length / 4 }, (_, group) => [0, 1, 2, 3].map((i) => 4 * group + i));
  return new Set(groups.flatMap((places) => lowest(scores, places, 2)));
};
const half: Case['gone'] = (scores) => new Set(lowest(scores, [...scores.keys()], Math.floor(scores.length / 2)));

/** The columns with the largest inputs first. */
function byInputs(gram: Float32Array | Float64Array, columns: number): number[] {
  const size = (j: number) => gram[j * columns + j]!;
  return Array.from({ length: columns }, (_, j) => j).sort((a, b) => size(b) - size(a) || a - b);
}

it('removes and rounds in one sweep over columns in the order of their inputs as it would over such columns', async () => {
  const shape = { rows: 3, columns: 136, together: 128, gone: half };
  const { rows, columns } = shape;
  const gram = gramOf(correlatedTokens(4 * columns, columns, 3), columns);
  const weight = randomValues(rows * columns, 9);
  const pattern = await parsePattern('unstructured');
  if (pattern.kind === 'fixed') throw new Error('unstructured masks leave out what they are asked to');
  const removal: Removal = { mask: (scores) => pattern.mask(scores, { sparsity: 0.5, compare: 'layer' }) };
  const inputs = await prepareGptq({ values: gram.values.slice(), columns }, { device, actOrder: true });
  const values = weight.slice();
  const grid = { round: (_row: number, _column: number, value: number) => rounded(value) };
  await gptq({ name: 'w', rows, columns, values }, grid, inputs, removal);
  const order = byInputs(gram.values, columns);
  const hessian = damped(gram, 0.01);
  const expected = byDefinition(
    weight.map((_, i) => weight[i - (i % columns) + order[i % columns]!]!),
    hessian.map((_, i) => hessian[order[Math.floor(i / columns)]! * columns + order[i % columns]!]!),
    shape,
  );
  const found = values.map((_, i) => values[i - (i % columns) + order[i % columns]!]!);
  expect([...found].map((value) => value + 0)).toEqual([...expected.values].map((value) => value + 0));
});

it.each([
  ['2:4', { rows: 5, columns: 24, together: 4, gone: twoOfFour }],
  ['unstructured', { rows: 4, columns: 20, together: 20, gone: half }],
  // The last block has fewer columns than 128, and its own mask.
  ['unstructured', { rows: 2, columns: 136, together: 128, gone: half }],
] as const)('removes and rounds in one sweep as the definition says: %s of %o', async (text, shape) => {
  const { rows, columns } = shape;
  const gram = gramOf(correlatedTokens(4 * columns, columns, 3), columns);
  const weight = randomValues(rows * columns, 9);
  const pattern = await parsePattern(text);
  const removal: Removal =
    pattern.kind === 'fixed'
      ? { group: pattern.group, mask: (scores) => pattern.mask(scores) }
      : { mask: (scores) => pattern.mask(scores, { sparsity: 0.5, compare: 'layer' }) };
  const inputs = await prepareGptq({ values: gram.values.slice(), columns }, { device });
  const values = weight.slice();
  await gptq(
    { name: 'w', rows, columns, values },
    { round: (_row, _column, value) => rounded(value) },
    inputs,
    removal,
  );
  const expected = byDefinition(weight, damped(gram, 0.01), shape);
  expect([...values].map((value) => value + 0)).toEqual([...expected.values].map((value) => value + 0));
  expect(expected.removed.filter((bit) => bit === 1).length).toBe(values.length / 2);
  for (const [i, bit] of expected.removed.entries()) if (bit === 1) expect(values[i]! + 0).toBe(0);
});
