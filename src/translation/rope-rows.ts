import type { RowOrder } from './derived/reordered.js';

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

/** The rows of q or k in the wanted order. */
export function headOrder(rows: HeadRows): RowOrder {
  return { storedRow: (row) => storedRow(row, rows), groupRows: rows.headRows };
}
