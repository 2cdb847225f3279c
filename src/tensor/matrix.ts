import { dispose, type Tensor } from '@tensorflow/tfjs-core';
import type { Device } from './device.js';

/**
 * A weight matrix [rows, columns] on the device, split by rows into parts that each stay under the device's largest tensor.
 * Most matrices have one part.
 */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** Each [partRows, columns], in row order; where there is a `right`, each [partRows, rank]. */
  readonly parts: readonly Tensor[];
  /** [rank, columns], of a matrix that is kept as a product: parts · right. Only who asks for factors is given one. */
  readonly right?: Matrix;
}

/** Consecutive rows of a matrix. */
export interface RowRange {
  readonly start: number;
  readonly count: number;
}

/** Uploads row-major values [rows, columns], in as few parts as the device allows. */
export function uploadMatrix(device: Device, values: Float32Array, rows: number, columns: number): Matrix {
  const rowsPerPart = Math.max(1, Math.floor(device.maxTensorBytes / (4 * columns)));
  const parts: Tensor[] = [];
  for (let start = 0; start < rows; start += rowsPerPart) {
    const count = Math.min(rowsPerPart, rows - start);
    parts.push(device.upload(values.subarray(start * columns, (start + count) * columns), [count, columns]));
  }
  return { rows, columns, parts };
}

export function disposeMatrix(matrix: Matrix): void {
  dispose([...matrix.parts]);
  if (matrix.right !== undefined) disposeMatrix(matrix.right);
}
