import { type Checkpoint, readFloats, readFloatsInto } from '../checkpoint/index.js';
import {
  type Device,
  disposeMatrix,
  type Matrix,
  type StoredFormat,
  uploadMatrix,
  uploadStored,
} from '../tensor/index.js';
import type { LinearSpec } from './decoder.js';

/** Host bytes that one piece of a matrix may take while it is widened and uploaded. */
const PIECE_BYTES = 256 * 2 ** 20;

export interface MatrixLoading {
  /** Load `rows` rows from this one on; from the tensor's first unless given. */
  readonly firstRow?: number;
  /** No part of the matrix has more rows. */
  readonly rowsPerPart?: number;
  /** 16-bit floats stay so where the device multiplies by them: for who only multiplies. */
  readonly asStored?: boolean;
}

/**
 * Returns the stored tensor [rows, columns], or that many of its rows, as float32 on the device, or as stored. It is read, widened and
 * uploaded in pieces of whole rows, so a matrix that is larger than the host has room for is never there at once.
 */
export async function loadMatrix(
  checkpoint: Checkpoint,
  name: string,
  shape: { readonly rows: number; readonly columns: number },
  device: Device,
  { firstRow = 0, rowsPerPart = Number.POSITIVE_INFINITY, asStored = false }: MatrixLoading = {},
): Promise<Matrix> {
  const { rows, columns } = shape;
  const format = asStored && device.multipliesStored ? storedFormat(checkpoint, name) : undefined;
  const elementBytes = format === undefined ? 4 : 2;
  const fitting = Math.max(1, Math.floor(Math.min(PIECE_BYTES, device.maxTensorBytes) / (elementBytes * columns)));
  const rowsPerPiece = Math.min(fitting, rowsPerPart);
  const pieces: Matrix[] = [];
  try {
    for (let start = 0; start < rows; start += rowsPerPiece) {
      const count = Math.min(rowsPerPiece, rows - start);
      const range = { start: firstRow + start, count };
      if (format === undefined) {
        pieces.push(await loadFloats(checkpoint, name, { ...range, columns }, device));
      } else {
        const bytes = await readRows(checkpoint, name, columns, range);
        pieces.push(uploadStored(device, bytes, { rows: count, columns, format }));
      }
    }
  } catch (error) {
    pieces.forEach(disposeMatrix);
    throw error;
  }
  if (pieces.length === 1) return pieces[0]!;
  return { rows, columns, parts: pieces.flatMap(({ parts }) => parts), ...(format && { stored: format }) };
}

/** Rows that fit one tensor. Where the device computes in the host's memory they are widened to where they stay. */
async function loadFloats(
  checkpoint: Checkpoint,
  name: string,
  { columns, ...range }: { readonly start: number; readonly count: number; readonly columns: number },
  device: Device,
): Promise<Matrix> {
  const { hostMemory } = device;
  const { count: rows } = range;
  if (hostMemory === undefined) return uploadMatrix(device, await readFloats(checkpoint, name, range), rows, columns);
  const matrix: Matrix = { rows, columns, parts: [hostMemory.empty([rows, columns])] };
  try {
    await readFloatsInto(checkpoint, name, () => hostMemory.view(matrix.parts[0]!) as Float32Array, range);
  } catch (error) {
    disposeMatrix(matrix);
    throw error;
  }
  return matrix;
}

const STORED_FORMATS: Readonly<Partial<Record<string, StoredFormat>>> = { BF16: 'bf16', F16: 'f16' };

/** What a device multiplies by without widening it first, of what the tensor may be; undefined for anything else. */
function storedFormat(checkpoint: Checkpoint, name: string): StoredFormat | undefined {
  const { tensors, aliases } = checkpoint;
  return STORED_FORMATS[tensors.get(aliases.get(name) ?? name)?.dtype ?? ''];
}

/** The bytes of rows of 2-byte elements. */
function readRows(
  checkpoint: Checkpoint,
  name: string,
  columns: number,
  { start, count }: { readonly start: number; readonly count: number },
): Promise<Uint8Array> {
  const rowBytes = 2 * columns;
  return checkpoint.read(name, { offset: start * rowBytes, length: count * rowBytes });
}

/**
 * Returns a linear's weight as [rows, columns] on the device, however it is stored. One that is stored transposed is on the host
 * as a whole for a moment: the models that do so are small.
 */
export async function loadLinearMatrix(
  checkpoint: Checkpoint,
  spec: LinearSpec,
  device: Device,
  loading: Pick<MatrixLoading, 'asStored'> = {},
): Promise<Matrix> {
  if (spec.layout !== 'in-out') return loadMatrix(checkpoint, spec.weight, spec, device, loading);
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
