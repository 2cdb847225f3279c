import { stopIfAborted } from '../errors.js';
import type { Device } from '../tensor/index.js';
import type { WeightRows } from './decomposition.js';
import type { InputRoot } from './input-root.js';
import { multiply, squaredNorm } from './products.js';

/** Elements of a weight that are read at a time: 128 MiB of single precision. */
const STRIP_ELEMENTS = 2 ** 25;

/**
 * A = W L as what it does to vectors, some rows of W at a time: neither A nor W is ever there as a whole. Vectors are rows of a
 * matrix: `forward` takes [count, columns] to [count, rows], `backward` the other way.
 */
export interface WeightOperator {
  readonly rows: number;
  readonly columns: number;
  /** Each row x becomes A x. */
  forward(vectors: Float32Array, count: number): Promise<Float32Array>;
  /** Each row y becomes Aᵀ y. */
  backward(vectors: Float32Array, count: number): Promise<Float32Array>;
  /** ‖A‖². */
  squaredNorm(): Promise<number>;
}

export interface OperatorOptions {
  readonly root?: InputRoot | undefined;
  readonly device: Device;
  readonly signal?: AbortSignal | undefined;
  readonly stripElements?: number;
}

export function weightOperator(
  weight: WeightRows,
  { root, device, signal, stripElements = STRIP_ELEMENTS }: OperatorOptions,
): WeightOperator {
  const { rows, columns } = weight;
  const lower = root && { values: singleOf(root.values), rows: columns, columns };
  const strips = async function* () {
    const step = Math.max(1, Math.floor(stripElements / columns));
    for (let first = 0; first < rows; first += step) {
      stopIfAborted(signal);
      const count = Math.min(step, rows - first);
      yield { first, matrix: { values: await weight.read(first, count), rows: count, columns } };
    }
  };
  return {
    rows,
    columns,
    async forward(vectors, count) {
      const own = { values: vectors, rows: count, columns };
      const inputs = lower ? { ...own, values: await multiply(own, lower, device, { transposeRight: true }) } : own;
      const outputs = new Float32Array(count * rows);
      for await (const { first, matrix } of strips()) {
        const made = await multiply(inputs, matrix, device, { transposeRight: true });
        placeColumns(made, matrix.rows, outputs, { first, columns: rows });
      }
      return outputs;
    },
    async backward(vectors, count) {
      const sums = new Float64Array(count * columns);
      for await (const { first, matrix } of strips()) {
        const part = { values: takeColumns(vectors, rows, first, matrix.rows), rows: count, columns: matrix.rows };
        addTo(sums, await multiply(part, matrix, device));
      }
      const own = { values: new Float32Array(sums), rows: count, columns };
      return lower === undefined ? own.values : multiply(own, lower, device);
    },
    async squaredNorm() {
      let sum = 0;
      for await (const { matrix } of strips()) {
        sum += squaredNorm(lower === undefined ? matrix.values : await multiply(matrix, lower, device));
      }
      return sum;
    },
  };
}

function singleOf(values: Float32Array | Float64Array): Float32Array {
  return values instanceof Float32Array ? values : new Float32Array(values);
}

function takeColumns(vectors: Float32Array, length: number, first: number, count: number): Float32Array {
  if (count === length) return vectors;
  const taken = new Float32Array((vectors.length / length) * count);
  for (let from = first, to = 0; from < vectors.length; from += length, to += count) {
    taken.set(vectors.subarray(from, from + count), to);
  }
  return taken;
}

function placeColumns(
  part: Float32Array,
  count: number,
  whole: Float32Array,
  { first, columns }: { readonly first: number; readonly columns: number },
): void {
  for (let from = 0, to = first; from < part.length; from += count, to += columns) {
    whole.set(part.subarray(from, from + count), to);
  }
}

function addTo(sums: Float64Array, values: Float32Array): void {
  for (let i = 0; i < sums.length; i += 1) sums[i]! += values[i]!;
}
