import type { RowOrder } from './derived/reordered.js';

/** How many heads there are, and the rows of each, in q as in k and v. */
export interface DealtHeads {
  readonly heads: number;
  readonly headRows: number;
}

const PARTS = 3;

/**
 * GPT-NeoX deals q, k and v out head by head in one weight; GGUF has all of q, then all of k, then all of v. Returns the rows of
 * the second order from a matrix in the first.
 * Source: llama.cpp, convert_hf_to_gguf.py (`GPTNeoXModel.modify_tensors`).
 */
export function joinedFromDealt({ heads, headRows }: DealtHeads): RowOrder {
  const storedRow = (row: number) => {
    const within = row % headRows;
    const run = (row - within) / headRows;
    const [part, head] = [Math.floor(run / heads), run % heads];
    return (PARTS * head + part) * headRows + within;
  };
  return { storedRow, groupRows: headRows };
}

/** The way back: the rows dealt out head by head, from a matrix that has q, k and v one after the other. */
export function dealtFromJoined({ heads, headRows }: DealtHeads): RowOrder {
  const storedRow = (row: number) => {
    const within = row % headRows;
    const run = (row - within) / headRows;
    const [head, part] = [Math.floor(run / PARTS), run % PARTS];
    return (heads * part + head) * headRows + within;
  };
  return { storedRow, groupRows: headRows };
}
