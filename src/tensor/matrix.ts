import { dispose, type Tensor } from '@tensorflow/tfjs-core';
import type { Device } from './device.js';
import { packHalves, type StoredFormat } from './packed-weights.js';

/**
 * A weight matrix [rows, columns] on the device, split by rows into parts that each stay under the device's largest tensor.
 * Most matrices have one part.
 */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** Each [partRows, columns], in row order; where there is a `right`, each [partRows, rank]. */
  readonly parts: readonly Tensor[];
  /**
   * Set where the values are 16-bit floats as the checkpoint has them: each part is int32 [partRows, ⌈columns / 2⌉], two to a word. Only
   * who asks for it is given one, and only `linear` and the scores of next tokens take it.
   */
  readonly stored?: StoredFormat;
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

/**
 * Uploads the bytes of row-major 16-bit floats [rows, columns], which stay at 2 bytes an element, in as few parts as the device
 * allows. Only for a device that `multipliesStored`.
 */
export function uploadStored(
  device: Device,
  bytes: Uint8Array,
  { rows, columns, format }: { readonly rows: number; readonly columns: number; readonly format: StoredFormat },
): Matrix {
  const stride = Math.ceil(columns / 2);
  const rowsPerPart = Math.max(1, Math.floor(device.maxTensorBytes / (4 * stride)));
  const words = packHalves(bytes, rows, columns);
  const parts: Tensor[] = [];
  for (let start = 0; start < rows; start += rowsPerPart) {
    const count = Math.min(rowsPerPart, rows - start);
    parts.push(device.upload(words.subarray(start * stride, (start + count) * stride), [count, stride]));
  }
  return { rows, columns, parts, stored: format };
}

export function disposeMatrix(matrix: Matrix): void {
  dispose([...matrix.parts]);
  if (matrix.right !== undefined) disposeMatrix(matrix.right);
}
