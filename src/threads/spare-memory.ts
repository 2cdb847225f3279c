/**
 * Pieces of memory of one size that go round: whoever reads takes one, and gives it back when the bytes are done with. New memory for
 * each read takes the system as long as the reading, and makes the garbage collector run for each few of them.
 */
export class SpareMemory {
  /** Of a piece. */
  readonly bytes: number;
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];

  /** Memory of so many bytes a piece; none is taken before it is needed. */
  constructor(bytes: number) {
    this.bytes = bytes;
  }

  /** A piece that nobody uses. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#spare.pop() ?? new Uint8Array(this.bytes);
  }

  /** Takes back a piece, also one that has been to a thread and back; memory of another size is none of it, and is let go. */
  give(buffer: ArrayBuffer): void {
    if (buffer.byteLength === this.bytes) this.#spare.push(new Uint8Array(buffer));
  }
}
