import { type Random, seededRandom } from '../random.js';

/** Columns of a sketch: inner products of two neurons are within 1/√128 = 9 % (one standard deviation) of their correlation. */
export const SKETCH_COLUMNS = 128;

/** Random signs, the same for the n-th token wherever they are asked for, so that sketches of several blocks go together. */
export class TokenSigns {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** +1 or −1 for each column of the next `tokens` tokens, [tokens, SKETCH_COLUMNS]. */
  next(tokens: number): Float32Array {
    const signs = new Float32Array(tokens * SKETCH_COLUMNS);
    for (let i = 0; i < signs.length; i += 32) {
      const bits = this.#random.bits();
      for (let bit = 0; bit < 32; bit += 1) signs[i + bit] = (bits >>> bit) & 1 ? 1 : -1;
    }
    return signs;
  }
}
