/**
 * The two orders in which the rows of a query or key matrix are stored, head by head. Rotary embedding turns pairs of rows:
 * transformers pairs row j of a head with row j + half, llama.cpp's "normal" order pairs 2j with 2j + 1. So
 * `reshape(heads, 2, half, …).swapaxes(1, 2)` leads from the first to the second.
 * Source: llama.cpp, convert_hf_to_gguf.py (`LlamaModel.permute`).
 */
export type RopeOrder = 'halves' | 'pairs';

/** A matrix whose rows come in heads of `headRows`, an even number. */
export interface HeadRows {
  readonly headRows: number;
  /** The order that is wanted; the stored rows are in the other one. */
  readonly wanted: RopeOrder;
}

/**
 * Returns which stored row holds row `row` of the wanted order.
 *
 * @example storedRow(1, { headRows: 8, wanted: 'pairs' }) // 4: the second of a pair comes from the second half
 */
export function storedRow(row: number, { headRows, wanted }: HeadRows): number {
  const half = headRows / 2;
  const within = row % headRows;
  const head = row - within;
  if (wanted === 'pairs') return head + (within % 2) * half + Math.floor(within / 2);
  return head + (within % half) * 2 + (within < half ? 0 : 1);
}

/** Bytes `[offset, offset + length)` of the stored tensor. */
export type ReadStored = (offset: number, length: number) => Promise<Uint8Array>;

/**
 * A head at most this large is read with one call and sorted in memory; the rows of a larger one (a file may declare a single
 * head of gigabytes) are read one by one.
 */
const MAX_GATHERED_BYTES = 8 * 1024 * 1024;

/**
 * Reads bytes `[offset, offset + length)` of a matrix in the wanted row order, from rows of `rowBytes` bytes that are stored in
 * the other. Any range is allowed, also within a row. Beside the result it needs at most one head of memory, or 8 MiB.
 */
export async function readReordered(
  range: { readonly offset: number; readonly length: number },
  rows: HeadRows & { readonly rowBytes: number },
  readStored: ReadStored,
): Promise<Uint8Array> {
  const { rowBytes } = rows;
  const result = new Uint8Array(range.length);
  const end = range.offset + range.length;
  let position = range.offset;
  while (position < end) {
    const row = Math.floor(position / rowBytes);
    const inRow = position - row * rowBytes;
    const wholeRows = inRow === 0 ? wholeRowsOfHead(row, Math.floor((end - position) / rowBytes), rows) : 0;
    let bytes: Uint8Array;
    if (wholeRows > 1) {
      bytes = await gatherRows(row, wholeRows, rows, readStored);
    } else {
      const length = Math.min(rowBytes - inRow, end - position);
      bytes = await readStored(storedRow(row, rows) * rowBytes + inRow, length);
    }
    result.set(bytes, position - range.offset);
    position += bytes.length;
  }
  return result;
}

/** How many of `count` rows from `row` on can be gathered at once: those of its head, or one where a head is too large. */
function wholeRowsOfHead(row: number, count: number, { headRows, rowBytes }: HeadRows & { rowBytes: number }): number {
  if (headRows * rowBytes > MAX_GATHERED_BYTES) return Math.min(count, 1);
  return Math.min(count, headRows - (row % headRows));
}

async function gatherRows(
  first: number,
  count: number,
  rows: HeadRows & { readonly rowBytes: number },
  readStored: ReadStored,
): Promise<Uint8Array> {
  const { rowBytes } = rows;
  const stored = Array.from({ length: count }, (_, i) => storedRow(first + i, rows));
  const start = Math.min(...stored);
  const span = await readStored(start * rowBytes, (Math.max(...stored) + 1 - start) * rowBytes);
  const result = new Uint8Array(count * rowBytes);
  stored.forEach((from, to) => {
    const at = (from - start) * rowBytes;
    result.set(span.subarray(at, at + rowBytes), to * rowBytes);
  });
  return result;
}
