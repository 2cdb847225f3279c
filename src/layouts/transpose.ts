import type { Checkpoint } from '../checkpoint/index.js';

/** Stored bytes that are in memory at once while a strip is gathered from them. */
const CHUNK_BYTES = 8 * 2 ** 20;
/** Elements of a tile's side: 64 lines of 64 words stay in the first-level cache while both sides of a tile are walked. */
const TILE = 64;

export type Elements = Uint8Array | Uint16Array | Uint32Array;
export type ElementBytes = 1 | 2 | 4;

/** A stored matrix of elements of 1, 2 or 4 bytes, as its rows lie in a tensor. */
export interface StoredMatrix {
  readonly source: Checkpoint;
  readonly tensor: string;
  readonly rows: number;
  readonly columns: number;
  readonly elementBytes: ElementBytes;
  /** Bytes from one row to the next, where that is fewer than its elements have: what is missing is zero. */
  readonly rowBytes?: number;
}

/**
 * Columns `[first, first + count)` of a stored matrix as rows: [count, rows]. Reads the matrix once, 8 MiB at a time.
 */
export async function readTransposed(matrix: StoredMatrix, first: number, count: number): Promise<Elements> {
  const { rows, columns, elementBytes } = matrix;
  const result = elementsOf(new Uint8Array(count * rows * elementBytes), elementBytes);
  const rowsPerChunk = Math.max(1, Math.floor(CHUNK_BYTES / (columns * elementBytes)));
  for (let start = 0; start < rows; start += rowsPerChunk) {
    const chunkRows = Math.min(rowsPerChunk, rows - start);
    const chunk = await readRows(matrix, start, chunkRows);
    transposeInto(result, { stride: rows, start }, chunk, { stride: columns, first, rows: chunkRows, count });
  }
  return result;
}

/** Rows `[first, first + count)` of a stored matrix, each padded with zero bytes to whole elements. */
export async function readRows(matrix: StoredMatrix, first: number, count: number): Promise<Elements> {
  const { source, tensor, columns, elementBytes } = matrix;
  const padded = columns * elementBytes;
  const { rowBytes = padded } = matrix;
  const stored = await source.read(tensor, { offset: first * rowBytes, length: count * rowBytes });
  return elementsOf(paddedRows(stored, count, padded), elementBytes);
}

/** Rows of bytes with zero bytes behind each, up to `width`; the same bytes where there is nothing to add. */
export function paddedRows(bytes: Uint8Array, rows: number, width: number): Uint8Array {
  const rowBytes = bytes.length / rows;
  if (rowBytes === width) return bytes;
  const padded = new Uint8Array(rows * width);
  for (let row = 0; row < rows; row += 1) {
    padded.set(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), row * width);
  }
  return padded;
}

/** `source` [rows, columns] as [columns, rows], in memory. */
export function transposed<Kind extends Elements>(source: Kind, rows: number, columns: number): Kind {
  const result = source.slice().fill(0) as Kind;
  transposeInto(result, { stride: rows, start: 0 }, source, { stride: columns, first: 0, rows, count: columns });
  return result;
}

function transposeInto(
  target: Elements,
  { stride: targetStride, start }: { readonly stride: number; readonly start: number },
  source: Elements,
  { stride, first, rows, count }: { stride: number; first: number; rows: number; count: number },
): void {
  for (let rowTile = 0; rowTile < rows; rowTile += TILE) {
    const rowEnd = Math.min(rows, rowTile + TILE);
    for (let columnTile = 0; columnTile < count; columnTile += TILE) {
      const columnEnd = Math.min(count, columnTile + TILE);
      for (let column = columnTile; column < columnEnd; column += 1) {
        const to = column * targetStride + start;
        for (let row = rowTile; row < rowEnd; row += 1) target[to + row] = source[row * stride + first + column]!;
      }
    }
  }
}

/** Bytes as elements; copied where they do not begin at a multiple of their size in memory. */
export function elementsOf(bytes: Uint8Array, elementBytes: ElementBytes): Elements {
  if (elementBytes === 1) return bytes;
  const { buffer, byteOffset, length } = bytes.byteOffset % elementBytes === 0 ? bytes : new Uint8Array(bytes);
  const count = length / elementBytes;
  return elementBytes === 2 ? new Uint16Array(buffer, byteOffset, count) : new Uint32Array(buffer, byteOffset, count);
}

/** The bytes of elements, not copied. */
export function bytesOf({ buffer, byteOffset, byteLength }: Elements): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
