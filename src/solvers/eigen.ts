import type { Device, DoubleProducts } from '../tensor/index.js';
import { tridiagonalEigen } from './divide-and-conquer.js';
import { doublesOnHost } from './host-products.js';
import { applyReflectors } from './reflectors.js';
import { tridiagonalize } from './tridiagonal.js';

/** A = Σ values[i] · vᵢ vᵢᵀ, values ascending; row i of `vectors` [size, size] is vᵢ, of length 1. */
export interface Eigen {
  readonly values: Float64Array;
  readonly vectors: Float64Array;
}

/**
 * Eigenvalues and eigenvectors of a symmetric matrix [size, size], which is not modified: Householder reflections to tridiagonal
 * form in blocks, divide and conquer there, and the reflections back (LAPACK's syevd). Nearly all of it are products of matrices
 * in double precision: by the device's library, or by loops of ours on the host. Three matrices of doubles are in memory at once.
 *
 * Values that are not finite give eigenvalues that are none. Throws RangeError when it does not converge.
 */
export function symmetricEigen(matrix: ArrayLike<number>, size: number, device?: Device): Eigen {
  const copy = Float64Array.from(matrix);
  if (!copy.every(Number.isFinite))
    return { values: new Float64Array(size).fill(Number.NaN), vectors: copy.fill(Number.NaN) };
  const doubles: DoubleProducts = device?.doubles ?? doublesOnHost;
  const reduced = tridiagonalize(copy, size, doubles);
  const { values, vectors } = tridiagonalEigen(reduced.diagonal, reduced.beside, doubles);
  applyReflectors(vectors, reduced, doubles);
  return sorted(vectors, values, copy);
}

/** Rows by ascending value, copied into `room`. */
function sorted(vectors: Float64Array, values: Float64Array, room: Float64Array): Eigen {
  const n = values.length;
  const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => values[a]! - values[b]! || a - b);
  for (const [to, from] of order.entries()) room.set(vectors.subarray(from * n, (from + 1) * n), to * n);
  return { values: Float64Array.from(order, (i) => values[i]!), vectors: room };
}
