import type { Gram } from '../../src/solvers/index.js';

/** Numbers in [−1, 1) that a seed decides (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

export function randomValues(count: number, seed: number): Float32Array {
  const next = uniform(seed);
  return Float32Array.from({ length: count }, next);
}

/** Tokens [tokens, columns] whose columns share a common part, as activations do. */
export function correlatedTokens(tokens: number, columns: number, seed: number): Float64Array {
  const next = uniform(seed);
  const values = new Float64Array(tokens * columns);
  for (let token = 0; token < tokens; token += 1) {
    const shared = next();
    for (let column = 0; column < columns; column += 1) {
      values[token * columns + column] = next() * (1 + (column % 5)) + 2 * shared;
    }
  }
  return values;
}

/** Σ x xᵀ of tokens [tokens, columns], the plain way. */
export function gramOf(values: Float64Array, columns: number): Gram {
  const sums = new Float64Array(columns * columns);
  for (let start = 0; start < values.length; start += columns) {
    for (let i = 0; i < columns; i += 1) {
      for (let j = 0; j < columns; j += 1) sums[i * columns + j]! += values[start + i]! * values[start + j]!;
    }
  }
  return { values: new Float32Array(sums), columns };
}

/** The inverse of a symmetric positive definite matrix by Gauss–Jordan: the oracle. */
export function plainInverse(matrix: Float64Array, size: number): Float64Array {
  const left = matrix.slice();
  const right = Float64Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
  for (let i = 0; i < size; i += 1) {
    const scale = 1 / left[i * size + i]!;
    for (const side of [left, right]) for (let k = i * size; k < (i + 1) * size; k += 1) side[k]! *= scale;
    for (let row = 0; row < size; row += 1) {
      const factor = left[row * size + i]!;
      if (row === i || factor === 0) continue;
      for (const side of [left, right]) {
        for (let k = 0; k < size; k += 1) side[row * size + k]! -= factor * side[i * size + k]!;
      }
    }
  }
  return right;
}

/** The matrix with `fraction` of its mean diagonal added to the diagonal, in double precision. */
export function damped({ values, columns }: Gram, fraction: number): Float64Array {
  const copy = new Float64Array(values);
  let trace = 0;
  for (let i = 0; i < columns; i += 1) trace += values[i * columns + i]!;
  for (let i = 0; i < columns; i += 1) copy[i * columns + i]! += (fraction * trace) / columns;
  return copy;
}

/** left [rows, inner] · right [inner, columns], the plain way. */
export function plainProduct(
  left: ArrayLike<number>,
  right: ArrayLike<number>,
  shape: { readonly rows: number; readonly inner: number; readonly columns: number },
): Float64Array {
  const { rows, inner, columns } = shape;
  const product = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i += 1) {
    for (let k = 0; k < inner; k += 1) {
      for (let j = 0; j < columns; j += 1) product[i * columns + j]! += left[i * inner + k]! * right[k * columns + j]!;
    }
  }
  return product;
}

/** The largest |a − b| over the largest |b|. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = 0;
  let apart = 0;
  for (let i = 0; i < b.length; i += 1) {
    largest = Math.max(largest, Math.abs(b[i]!));
    apart = Math.max(apart, Math.abs(a[i]! - b[i]!));
  }
  return apart / largest;
}
