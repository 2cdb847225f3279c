import { type ByteRange, type Derivation, same } from './derivation.js';

/** Where each row of a wanted order is stored. */
export interface RowOrder {
  /** Returns which stored row holds row `row` of the wanted order. */
  readonly storedRow: (row: number) => number;
  /** So many rows from a multiple of it on are stored near one another: among as many rows. */
  readonly groupRows: number;
}

/** The tensor with its rows (of a vector: its elements) in another order. */
export function reordered(order: RowOrder): Derivation {
  return {
    describe: same,
    read: (range, [stored], source) => {
      const { name, shape, byteLength } = stored!;
      const rowBytes = byteLength / shape[0]!;
      return readReordered(range, { ...order, rowBytes }, (offset, length) => source.read(name, { offset, length }));
    },
  };
}

/** Bytes `[offset, offset + length)` of the stored tensor. */
export type ReadStored = (offset: number, length: number) => Promise<Uint8Array>;

/**
 * A group at most this large is read with one call and sorted in memory; the rows of a larger one (a file may declare a single
 * head of gigabytes) are read one by one.
 */
const MAX_GATHERED_BYTES = 8 * 1024 * 1024;

/**
 * Reads bytes `[offset, offset + length)` of a matrix in the wanted row order, from rows of `rowBytes` bytes that are stored in
 * the other. Any range is allowed, also within a row. Beside the result it needs at most one group of memory, or 8 MiB.
 */
export async function readReordered(
  range: ByteRange,
  rows: RowOrder & { readonly rowBytes: number },
  readStored: ReadStored,
): Promise<Uint8Array> {
  const { rowBytes, storedRow } = rows;
  const result = new Uint8Array(range.length);
  const end = range.offset + range.length;
  let position = range.offset;
  while (position < end) {
    const row = Math.floor(position / rowBytes);
    const inRow = position - row * rowBytes;
    const wholeRows = inRow === 0 ? wholeRowsOfGroup(row, Math.floor((end - position) / rowBytes), rows) : 0;
    let bytes: Uint8Array;
    if (wholeRows > 1) {
      bytes = await gatherRows(row, wholeRows, rows, readStored);
    } else {
      const length = Math.min(rowBytes - inRow, end - position);
      bytes = await readStored(storedRow(row) * rowBytes + inRow, length);
    }
    result.set(bytes, position - range.offset);
    position += bytes.length;
  }
  return result;
}

/** How many of `count` rows from `row` on can be gathered at once: those of its group, or one where a group is too large. */
function wholeRowsOfGroup(
  row: number,
  count: number,
  { groupRows, rowBytes }: RowOrder & { readonly rowBytes: number },
): number {
  if (groupRows * rowBytes > MAX_GATHERED_BYTES) return Math.min(count, 1);
  return Math.min(count, groupRows - (row % groupRows));
}

async function gatherRows(
  first: number,
  count: number,
  { rowBytes, storedRow }: RowOrder & { readonly rowBytes: number },
  readStored: ReadStored,
): Promise<Uint8Array> {
  const stored = Array.from({ length: count }, (_, i) => storedRow(first + i));
  const start = Math.min(...stored);
  const span = await readStored(start * rowBytes, (Math.max(...stored) + 1 - start) * rowBytes);
  const result = new Uint8Array(count * rowBytes);
  stored.forEach((from, to) => {
    const at = (from - start) * rowBytes;
    result.set(span.subarray(at, at + rowBytes), to * rowBytes);
  });
  return result;
}
