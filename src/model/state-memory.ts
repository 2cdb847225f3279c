/**
 * A piece of memory holds the states of so many bytes: the C library asks the system for more than 32 MiB by themselves and gives them
 * back whole, where smaller ones lie among what comes and goes and leave holes.
 */
const PIECE_BYTES = 2 ** 26;

/** Float32 arrays of fixed lengths, each in the same place from its first write on: writing to them leaves no garbage. */
export class StateMemory {
  readonly #lengths: readonly number[];
  readonly #places: readonly { readonly piece: number; readonly start: number }[];
  /** Made when something is written to them. */
  readonly #pieces: (Float32Array | undefined)[];
  readonly #pieceLengths: readonly number[];
  readonly #written = new Set<number>();

  constructor(lengths: readonly number[], pieceBytes = PIECE_BYTES) {
    const pieceLengths: number[] = [];
    this.#places = lengths.map((length) => {
      const last = pieceLengths.at(-1);
      if (last === undefined || 4 * (last + length) > pieceBytes) pieceLengths.push(0);
      const piece = pieceLengths.length - 1;
      const start = pieceLengths[piece]!;
      pieceLengths[piece] = start + length;
      return { piece, start };
    });
    this.#lengths = lengths;
    this.#pieceLengths = pieceLengths;
    this.#pieces = pieceLengths.map(() => undefined);
  }

  /** Array i where it lies, and changes with the next `write`; undefined before the first. */
  get(i: number): Float32Array | undefined {
    return this.#written.has(i) ? this.#at(i) : undefined;
  }

  /** Copies `values`, as many as array i holds, into its place. */
  write(i: number, values: Float32Array): void {
    this.#at(i).set(values);
    this.#written.add(i);
  }

  /** Lets go of all of it. */
  clear(): void {
    this.#written.clear();
    this.#pieces.fill(undefined);
  }

  #at(i: number): Float32Array {
    const { piece, start } = this.#places[i]!;
    this.#pieces[piece] ??= new Float32Array(this.#pieceLengths[piece]!);
    return this.#pieces[piece].subarray(start, start + this.#lengths[i]!);
  }
}
