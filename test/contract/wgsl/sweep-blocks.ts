import { type Expected, type KernelCase, type KernelCases, type Operand, random } from './kernel-case.js';

interface Shape {
  readonly rows: number;
  readonly count: number;
  readonly seed: number;
}

/** An upper triangular matrix whose diagonal is not small. */
function factor(count: number, seed: number): Operand & { readonly data: Float32Array } {
  const { data, shape } = random([count, count], seed);
  return {
    shape,
    data: data.map((value, i) => {
      const [row, column] = [Math.floor(i / count), i % count];
      if (column < row) return 0;
      return row === column ? 1.5 + value : value / Math.sqrt(count);
    }),
  };
}

function keepOf({ rows, count, seed }: Shape): Operand & { readonly data: Int32Array } {
  return { data: Int32Array.from(random([rows, count], seed).data, (v) => Number(v > -0.3)), shape: [rows, count] };
}

/** The sweep as it is defined, row by row: `becomes` is asked for column j with the weights as they then are. */
function swept(
  { rows, count }: Shape,
  weights: Float32Array,
  upper: Float32Array,
  becomes: (row: number, j: number, now: Float64Array) => number,
) {
  const [result, errors] = [new Float64Array(rows * count), new Float64Array(rows * count)];
  for (let row = 0; row < rows; row += 1) {
    const now = Float64Array.from(weights.subarray(row * count, (row + 1) * count));
    for (let j = 0; j < count; j += 1) {
      const became = becomes(row, j, now);
      const error = (now[j]! - became) / upper[j * count + j]!;
      now[j] = became;
      errors[row * count + j] = error;
      for (let k = j + 1; k < count; k += 1) now[k]! -= error * upper[j * count + k]!;
    }
    result.set(now, row * count);
  }
  return { result, errors };
}

function results({ rows, count }: Shape, { result, errors }: ReturnType<typeof swept>, codes?: Int32Array): Expected[] {
  const shape = [rows, count];
  return [
    { data: result, shape, tolerance: 2e-5 },
    { data: errors, shape, tolerance: 2e-5 },
    ...(codes === undefined ? [] : [{ data: codes, shape, tolerance: 0 }]),
  ];
}

function prune(name: string, shape: Shape): KernelCase {
  const [weights, upper, keep] = [random([shape.rows, shape.count], shape.seed), factor(shape.count, 3), keepOf(shape)];
  const expected = () =>
    results(
      shape,
      swept(shape, weights.data, upper.data, (row, j, now) => (keep.data[row * shape.count + j] ? now[j]! : 0)),
    );
  return { name, inputs: { weights, upper, keep }, expected };
}

function choose(name: string, shape: Shape, [kept, group]: readonly [number, number]): KernelCase {
  const { rows, count } = shape;
  const [weights, upper, keep] = [random([rows, count], shape.seed), factor(count, 4), keepOf(shape)];
  // One input that was always 0: its weights go before all others.
  const bias = { data: Float32Array.from({ length: count }, (_, j) => (j === 1 ? 2 ** -64 : 1)), shape: [count] };
  const expected = () => {
    let stays: boolean[] = [];
    return results(
      shape,
      swept(shape, weights.data, upper.data, (row, j, now) => {
        if (j % group === 0) {
          const end = Math.min(j + group, count);
          const places = Array.from({ length: end - j }, (_, i) => j + i);
          const isThere = (k: number) => keep.data[row * count + k] === 1;
          const score = (k: number) =>
            isThere(k) ? (Math.abs(now[k]!) / upper.data[k * count + k]!) * bias.data[k]! : 0;
          const ranked = [...places].sort((a, b) => score(a) - score(b) || a - b);
          const go = new Set(ranked.slice(0, Math.max(0, ranked.length - kept)));
          stays = places.map((k) => isThere(k) && !go.has(k));
        }
        return stays[j % group] ? now[j]! : 0;
      }),
    );
  };
  return { name, inputs: { weights, upper, keep, bias }, attributes: { group, kept }, expected };
}

/** Scales are powers of two, so that no quotient lies where two roundings might differ. */
function round(name: string, shape: Shape, { bits, groups }: { bits: number; groups: number }): KernelCase {
  const { rows, count } = shape;
  const [weights, upper, keep] = [random([rows, count], shape.seed), factor(count, 5), keepOf(shape)];
  const most = 2 ** bits - 1;
  const scales = random([rows, groups], 6).data.map((v) => 2 ** Math.round(v * 2 - 2 - bits / 2));
  const zeros = random([rows, groups], 7).data.map((v) => Math.round((1 + v) * (most / 2)));
  const tiles = {
    data: Float32Array.from({ length: 2 * rows * groups }, (_, i) => (i % 2 === 0 ? scales : zeros)[i >> 1]!),
    shape: [rows, groups, 2],
  };
  const groupOf = { data: Int32Array.from({ length: count }, (_, j) => (j * 7 + 1) % groups), shape: [count] };
  const expected = () => {
    const codes = new Int32Array(rows * count);
    const outcome = swept(shape, weights.data, upper.data, (row, j, now) => {
      const tile = row * groups + groupOf.data[j]!;
      const exact = (keep.data[row * count + j] ? now[j]! : 0) / scales[tile]!;
      const code = Math.min(most, Math.max(0, halfEven(exact) + zeros[tile]!));
      codes[row * count + j] = code;
      return (code - zeros[tile]!) * scales[tile]!;
    });
    return results(shape, outcome, codes);
  };
  return { name, inputs: { weights, upper, keep, tiles, groupOf }, attributes: { most }, expected };
}

function halfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

export const pruneBlockCases: KernelCases = {
  operation: 'birdbone.PruneBlock',
  cases: [
    prune('one weight', { rows: 1, count: 1, seed: 1 }),
    prune('[7, 33], rows that no workgroup fills', { rows: 7, count: 33, seed: 2 }),
    prune('[130, 128]', { rows: 130, count: 128, seed: 3 }),
  ],
};

export const chooseBlockCases: KernelCases = {
  operation: 'birdbone.ChooseBlock',
  cases: [
    choose('2:4 of [5, 8]', { rows: 5, count: 8, seed: 1 }, [2, 4]),
    choose('4:8 of [9, 128]', { rows: 9, count: 128, seed: 2 }, [4, 8]),
    choose('2:4 of [3, 31], a shorter group last', { rows: 3, count: 31, seed: 3 }, [2, 4]),
    choose('1:3 of one row', { rows: 1, count: 126, seed: 4 }, [1, 3]),
  ],
};

export const roundBlockCases: KernelCases = {
  operation: 'birdbone.RoundBlock',
  cases: [
    round('4 bits of [1, 1]', { rows: 1, count: 1, seed: 1 }, { bits: 4, groups: 1 }),
    round('4 bits of [6, 40] in 3 groups', { rows: 6, count: 40, seed: 2 }, { bits: 4, groups: 3 }),
    round('3 bits of [19, 128] in 5 groups', { rows: 19, count: 128, seed: 3 }, { bits: 3, groups: 5 }),
    round('8 bits of [4, 127]', { rows: 4, count: 127, seed: 4 }, { bits: 8, groups: 1 }),
  ],
};
