import { describe, expect, it } from 'vitest';
import { biasOfColumns, foldColumns, judgedBy, removalOrder } from '../../src/shedding/index.js';
import { uniform } from '../reference/tiny-model.js';

const ROWS = 5;
const COLUMNS = 8;

/** Random weights and inputs; what the fold may use of the inputs is their Gram matrix. */
function problem(seed: number, tokens = 200) {
  const next = uniform(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  const x = Array.from({ length: tokens }, () => {
    const common = normal();
    return Float64Array.from({ length: COLUMNS }, (_, j) => normal() + 0.8 * common + (j === 2 ? 3 * common : 0));
  });
  const values = Float32Array.from({ length: ROWS * COLUMNS }, normal);
  const gram = new Float32Array(COLUMNS * COLUMNS);
  for (let i = 0; i < COLUMNS; i += 1) {
    for (let j = 0; j < COLUMNS; j += 1) gram[i * COLUMNS + j] = x.reduce((sum, t) => sum + t[i]! * t[j]!, 0);
  }
  return { x, weight: { values, rows: ROWS, columns: COLUMNS }, gram: { values: gram, columns: COLUMNS } };
}

/** ‖(W' − W) X‖², in double precision. */
function outputError(x: readonly Float64Array[], before: Float32Array, after: Float32Array): number {
  let error = 0;
  for (const token of x) {
    for (let row = 0; row < ROWS; row += 1) {
      let difference = 0;
      for (let j = 0; j < COLUMNS; j += 1)
        difference += (after[row * COLUMNS + j]! - before[row * COLUMNS + j]!) * token[j]!;
      error += difference ** 2;
    }
  }
  return error;
}

function dropped(values: Float32Array, set: Int32Array): Float32Array {
  return values.map((value, i) => (set.includes(i % COLUMNS) ? 0 : value));
}

const singles = Array.from({ length: COLUMNS }, (_, j) => Int32Array.of(j));
const pairs = Array.from({ length: COLUMNS / 2 }, (_, j) => Int32Array.of(2 * j, 2 * j + 1));
const OPTIONS = { rounds: 8 } as const;

describe('the error of a removal', () => {
  it.each([
    ['columns', singles, 'none'],
    ['pairs of columns', pairs, 'none'],
  ] as const)('of %s that are dropped is what the outputs change', async (_, sets, compensation) => {
    const { x, weight, gram } = problem(1);
    const [first] = await removalOrder({ weight, gram, sets }, { ...OPTIONS, count: 1, compensation }, {});
    const errors = sets.map((set) => outputError(x, weight.values, dropped(weight.values, set)));
    expect(first!.set).toBe(errors.indexOf(Math.min(...errors)));
    expect(first!.error).toBeCloseTo(Math.min(...errors), 0);
  });

  it.each([
    ['columns', singles],
    ['pairs of columns', pairs],
  ] as const)('of %s that a bias stands for is what is left about their means', async (_, sets) => {
    const { x: centre, weight } = problem(6);
    // Means that are large beside what varies: judged by their energy, others would go.
    const x = centre.map((token) => token.map((value, j) => value + 4 * (j % 3)));
    const values = Float32Array.from({ length: COLUMNS * COLUMNS }, (_, at) =>
      x.reduce((sum, t) => sum + t[Math.floor(at / COLUMNS)]! * t[at % COLUMNS]!, 0),
    );
    const means = Float32Array.from({ length: COLUMNS }, (_, j) => x.reduce((sum, t) => sum + t[j]!, 0) / x.length);
    const gram = judgedBy({ gram: { values, columns: COLUMNS }, tokens: x.length, means }, 'flap');
    const order = await removalOrder({ weight, gram, sets }, { ...OPTIONS, count: 1, compensation: 'flap' }, {});
    // By the definition: what the outputs change when the columns go and the mean of what they gave is added again.
    const errors = sets.map((set) => {
      const bias = biasOfColumns(weight, means, [set]);
      return x.reduce((sum, token) => {
        const lost = Array.from({ length: ROWS }, (_, row) =>
          [...set].reduce((part, j) => part + weight.values[row * COLUMNS + j]! * token[j]!, 0),
        );
        return sum + lost.reduce((inner, value, row) => inner + (value - bias[row]!) ** 2, 0);
      }, 0);
    });
    const least = Math.min(...errors);
    expect(order[0]!.set).toBe(errors.indexOf(least));
    expect(order[0]!.error / least).toBeCloseTo(1, 3);
  });

  it.each([
    ['columns', singles],
    ['pairs of columns', pairs],
  ] as const)('of %s that are folded is what no choice of the others can undo', async (_, sets) => {
    const { x, weight, gram } = problem(2);
    const order = await removalOrder({ weight, gram, sets }, { ...OPTIONS, count: 1, compensation: 'ls' }, {});
    const errors = await Promise.all(
      sets.map(async (set) => outputError(x, weight.values, (await foldColumns({ weight, gram }, [set], {})).values)),
    );
    const least = Math.min(...errors);
    expect(order[0]!.set).toBe(errors.indexOf(least));
    // Both are damped by 1 % of the mean square, each in its own way.
    expect(Math.abs(order[0]!.error / least - 1)).toBeLessThan(0.05);
  });
});

describe('an order of removals', () => {
  it('does not let two inputs go that make up for each other', async () => {
    const { weight, gram } = problem(3);
    // Column 1 is column 0 again, both with large weights: either can go, not both.
    const values = gram.values.slice();
    for (let j = 0; j < COLUMNS; j += 1) {
      values[1 * COLUMNS + j] = values[0 * COLUMNS + j]!;
      values[j * COLUMNS + 1] = values[j * COLUMNS + 0]!;
    }
    values[1 * COLUMNS + 1] = values[0]!;
    const large = weight.values.map((value, i) => (i % COLUMNS < 2 ? 3 * value : value));
    const twins = { weight: { ...weight, values: large }, gram: { values, columns: COLUMNS } };
    const order = await removalOrder({ ...twins, sets: singles }, { ...OPTIONS, count: 4, compensation: 'ls' }, {});
    const gone = order.map(({ set }) => set);
    expect(gone.filter((set) => set < 2)).toHaveLength(1);
  });

  it('takes inputs first that are always 0, and leaves the weights of the others', async () => {
    const { weight, gram } = problem(4);
    const values = gram.values.slice();
    for (let j = 0; j < COLUMNS; j += 1) values[5 * COLUMNS + j] = values[j * COLUMNS + 5] = 0;
    const silent = { weight, gram: { values, columns: COLUMNS } };
    const [first] = await removalOrder(
      { ...silent, sets: singles },
      { ...OPTIONS, count: 1, compensation: 'none' },
      {},
    );
    expect(first).toEqual({ set: 5, error: 0 });
    const folded = await foldColumns(silent, [Int32Array.of(5)], {});
    folded.values.forEach((value, i) => {
      expect(value).toBeCloseTo(i % COLUMNS === 5 ? 0 : weight.values[i]!, 5);
    });
  });
});
