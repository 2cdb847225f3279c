/** Numbers from (seed, index): every mutation can be made again alone, without those before it. sfc32, by Chris Doty-Humphrey. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, index: number) {
    this.#a = Math.floor(index / 2 ** 32) | 0;
    this.#b = index | 0;
    this.#c = seed | 0;
    for (let i = 0; i < 12; i += 1) this.u32();
  }

  /** A whole number in [0, 2^32). */
  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    return this.u32() % limit;
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(items: ArrayLike<T>): T {
    return items[this.below(items.length)]!;
  }

  /** The first of the items half of the time, the next one half of the rest: where small ones come first, most mutations are cheap. */
  pickEarly<T>(items: ArrayLike<T>): T {
    let at = 0;
    while (at < items.length - 1 && this.oneIn(2)) at += 1;
    return items[at]!;
  }
}
