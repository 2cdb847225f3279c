import { type Checkpoint, readFloats } from '../checkpoint/index.js';
import { type Device, disposeMatrix, type Matrix, uploadMatrix } from '../tensor/index.js';

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
