import type { TokenBatch } from '../model/index.js';

/** Squares of the residual stream's dimensions over calibration tokens, the first token of each window apart. */
export class ResidualSquares {
  readonly #first: Float64Array;
  readonly #others: Float64Array;

  constructor(hidden: number) {
    this.#first = new Float64Array(hidden);
    this.#others = new Float64Array(hidden);
  }

  /** Takes a batch of hidden states [rows, columns, hidden]; its padding does not count. */
  add(values: Float32Array, { columns, lengths }: Pick<TokenBatch, 'columns' | 'lengths'>): void {
    const hidden = this.#first.length;
    for (const [row, length] of [...lengths].entries()) {
      for (let token = 0; token < length; token += 1) {
        const squares = token === 0 ? this.#first : this.#others;
        const start = (row * columns + token) * hidden;
        for (let j = 0; j < hidden; j += 1) squares[j]! += values[start + j]! ** 2;
      }
    }
  }

  /** Norm of each dimension, and the part of its square that lies in the first tokens. */
  finish(): { readonly norms: Float64Array; readonly firstTokenShares: Float64Array } {
    const totals = this.#first.map((square, j) => square + this.#others[j]!);
    return {
      norms: totals.map(Math.sqrt),
      firstTokenShares: totals.map((total, j) => (total === 0 ? 0 : this.#first[j]! / total)),
    };
  }
}
