import type { TokenBatch } from '../model/index.js';

/** The positions of a batch that have a next token, row · columns + column, and those tokens. */
export interface Predictions {
  readonly positions: Int32Array;
  readonly targets: Int32Array;
}

export function predictionsOf({ columns, ids, lengths }: TokenBatch): Predictions {
  const positions: number[] = [];
  lengths.forEach((length, row) => {
    for (let column = 0; column + 1 < length; column += 1) positions.push(row * columns + column);
  });
  const targets = Int32Array.from(positions, (position) => ids[position + 1]!);
  return { positions: Int32Array.from(positions), targets };
}

/** The rows of values [n, width] at these positions, in order. */
export function rowsAt(values: Float32Array, positions: Int32Array, width: number): Float32Array {
  const rows = new Float32Array(positions.length * width);
  positions.forEach((position, i) => {
    rows.set(values.subarray(position * width, (position + 1) * width), i * width);
  });
  return rows;
}

/** The inverse of `rowsAt`: values [count, width] with these rows at their positions and 0 elsewhere. */
export function scattered(rows: Float32Array, positions: Int32Array, count: number, width: number): Float32Array {
  const values = new Float32Array(count * width);
  positions.forEach((position, i) => {
    values.set(rows.subarray(i * width, (i + 1) * width), position * width);
  });
  return values;
}
