import { type Checkpoint, readFloats } from '../checkpoint/index.js';
import { type Device, disposeMatrix, type Matrix, uploadMatrix } from '../tensor/index.js';
import type { LinearSpec } from './decoder.js';

/** Host bytes that one piece of a matrix may take while it is widened and uploaded. */
const PIECE_BYTES = 256 * 2 ** 20;

export interface MatrixLoading {
  /** Load `rows` rows from this one on; from the tensor's first unless given. */
  readonly firstRow?: number;
  /** No part of the matrix has more rows. */
  readonly rowsPerPart?: number;
}

/**
 * Returns the stored tensor [rows, columns], or that many of its rows, as float32 on the device. It is read, widened and
 * uploaded in pieces of whole rows, so a matrix that is larger than the host has room for is never there at once.
 */
export async function loadMatrix(
  checkpoint: Checkpoint,
  name: string,
  shape: { readonly rows: number; readonly columns: number },
  device: Device,
  { firstRow = 0, rowsPerPart = Number.POSITIVE_INFINITY }: MatrixLoading = {},
): Promise<Matrix> {
  const { rows, columns } = shape;
  const fitting = Math.max(1, Math.floor(Math.min(PIECE_BYTES, device.maxTensorBytes) / (4 * columns)));
  const rowsPerPiece = Math.min(fitting, rowsPerPart);
  const pieces: Matrix[] = [];
  try {
    for (let start = 0; start < rows; start += rowsPerPiece) {
      const count = Math.min(rowsPerPiece, rows - start);
      const values = await readFloats(checkpoint, name, { start: firstRow + start, count });
      pieces.push(uploadMatrix(device, values, count, columns));
    }
  } catch (error) {
    pieces.forEach(disposeMatrix);
    throw error;
  }
  return pieces.length === 1 ? pieces[0]! : { rows, columns, parts: pieces.flatMap((piece) => piece.parts) };
}

/**
 * Returns a linear's weight as [rows, columns] on the device, however it is stored. One that is stored transposed is on the host
 * as a whole for a moment: the models that do so are small.
 */
export async function loadLinearMatrix(checkpoint: Checkpoint, spec: LinearSpec, device: Device): Promise<Matrix> {
  if (spec.layout !== 'in-out') return loadMatrix(checkpoint, spec.weight, spec, device);
  return uploadMatrix(device, await readTransposed(checkpoint, spec), spec.rows, spec.columns);
}

/** The values of a weight that is stored [columns, rows], as [rows, columns]. */
async function readTransposed(checkpoint: Checkpoint, { weight, rows, columns }: LinearSpec): Promise<Float32Array> {
  const values = new Float32Array(rows * columns);
  const columnsPerPiece = Math.max(1, Math.floor(PIECE_BYTES / (4 * rows)));
  for (let start = 0; start < columns; start += columnsPerPiece) {
    const count = Math.min(columnsPerPiece, columns - start);
    const stored = await readFloats(checkpoint, weight, { start, count });
    for (let column = 0; column < count; column++) {
      for (let row = 0; row < rows; row++) values[row * columns + start + column] = stored[column * rows + row]!;
    }
  }
  return values;
}
