/** Bytes that can be read by position. */
export interface PositionalBytes {
  readSync(offset: number, bytes: Uint8Array): void;
}

const WINDOW_BYTES = 256 * 1024;

/** A cursor over part of a file that keeps one window of it in memory; the window grows only for a long token. */
export class ByteWindow {
  readonly #source: PositionalBytes;
  readonly #end: number;
  #buffer: Buffer;
  /** The buffer holds the file's bytes from `start` on, `filled` of them; the cursor is at `at` among those. */
  #start: number;
  #filled = 0;
  #at = 0;

  constructor(source: PositionalBytes, start: number, end: number) {
    this.#source = source;
    this.#start = start;
    this.#end = end;
    this.#buffer = Buffer.allocUnsafe(Math.min(WINDOW_BYTES, end - start));
  }

  /** The cursor's position in the file. */
  get position(): number {
    return this.#start + this.#at;
  }

  /** The byte `ahead` of the cursor, which stays where it is; −1 at the end. */
  peek(ahead = 0): number {
    if (this.#at + ahead >= this.#filled) {
      this.#refill(ahead);
      if (this.#at + ahead >= this.#filled) return -1;
    }
    return this.#buffer[this.#at + ahead]!;
  }

  /** Moves the cursor over bytes that were peeked at. */
  advance(count = 1): void {
    this.#at += count;
  }

  /** The next bytes, all of which were peeked at. A view that holds until the next call. */
  next(length: number): Uint8Array {
    return this.#buffer.subarray(this.#at, this.#at + length);
  }

  /** The next bytes, all of which were peeked at, as one character each. */
  nextAscii(length: number): string {
    return this.#buffer.toString('latin1', this.#at, this.#at + length);
  }

  /** The next four bytes, all of which were peeked at, as a little-endian number; the cursor stays where it is. */
  uint32(ahead = 0): number {
    return this.#buffer.readUInt32LE(this.#at + ahead);
  }

  /** Moves the cursor over bytes that need not have been peeked at, and are not read if they are beyond the window. */
  skip(count: number): void {
    if (count <= this.#filled - this.#at) {
      this.#at += count;
      return;
    }
    this.#start += this.#at + count;
    this.#filled = 0;
    this.#at = 0;
  }

  /** Drops what the cursor has passed and fills the rest of the buffer. */
  #refill(ahead: number): void {
    const unread = this.#filled - this.#at;
    const left = this.#end - (this.#start + this.#filled);
    if (left === 0) return;
    // Twice as long each time, so that a token that is read byte by byte does not move at every byte.
    const needed = Math.min(ahead + 1, unread + left);
    const next =
      needed > this.#buffer.length ? Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2)) : this.#buffer;
    this.#buffer.copy(next, 0, this.#at, this.#filled);
    const added = Math.min(left, next.length - unread);
    this.#source.readSync(this.#start + this.#filled, next.subarray(unread, unread + added));
    this.#start += this.#at;
    this.#buffer = next;
    this.#filled = unread + added;
    this.#at = 0;
  }
}
