/**
 * How much of a device's own memory tensors may take that stay there from one pass to the next, and how much of it is taken. Who keeps
 * such tensors takes their bytes first and gives them back with the last of them.
 */
export class ResidentRoom {
  readonly bytes: number;
  #taken = 0;

  constructor(bytes: number) {
    this.bytes = bytes;
  }

  get freeBytes(): number {
    return this.bytes - this.#taken;
  }

  /** Takes the longest prefix of `sizes` that still fits, in bytes each, and returns how many that are. */
  takeFirst(sizes: readonly number[]): number {
    const count = fittingPrefix(sizes, this.freeBytes);
    for (const size of sizes.slice(0, count)) this.#taken += size;
    return count;
  }

  giveBack(bytes: number): void {
    if (bytes > this.#taken) throw new RangeError(`${bytes} bytes given back where ${this.#taken} were taken`);
    this.#taken -= bytes;
  }
}

/** How many of `sizes`, from the first on, come to at most `bytes` together. */
export function fittingPrefix(sizes: readonly number[], bytes: number): number {
  let left = bytes;
  const end = sizes.findIndex((size) => {
    left -= size;
    return left < 0;
  });
  return end < 0 ? sizes.length : end;
}
