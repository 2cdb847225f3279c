/**
 * Pieces of memory of one size that go round: whoever reads takes one, and gives it back when the bytes are done with. New memory for
 * each read takes the system as long as the reading. They are shared with threads, which work on them where they lie: a buffer that is
 * handed over counts as new to V8, which then looks for garbage for each few of them.
 */
export class SpareMemory {
  /** Of a piece. */
  readonly bytes: number;
  readonly #spare: Uint8Array[] = [];

  /** Memory of so many bytes a piece; none is taken before it is needed. */
  constructor(bytes: number) {
    this.bytes = bytes;
  }

  /** A piece that nobody uses. */
  take(): Uint8Array {
    return this.#spare.pop() ?? new Uint8Array(new SharedArrayBuffer(this.bytes));
  }

  /** Takes back a piece, whole or a part of it. */
  give(piece: Uint8Array): void {
    this.#spare.push(new Uint8Array(piece.buffer));
  }
}
