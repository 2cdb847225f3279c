import { isUtf8 } from 'node:buffer';
import { ByteWindow } from '../files/byte-window.js';
import type { ByteSource } from '../files/bytes.js';
import { quoted } from '../files/quote.js';

/** One text, such as a chat template or a licence; the longest known are embedded tokenizer.json files of some MB. */
export const MAX_STRING_BYTES = 8 * 1024 * 1024;

/** Up to here bytes are copied out of the window; more of them are read from the file, past it. */
const FROM_WINDOW_BYTES = 4096;

/** Says what is wrong with the file, at whatever the caller is reading. */
export type Fail = (problem: string) => never;

/**
 * Reads a GGUF header front to back, a window at a time. Every length is compared with what the file has left before
 * anything is made from it; whatever does not fit ends in `fail`.
 */
export class GgufCursor {
  readonly #file: ByteSource;
  readonly #window: ByteWindow;
  readonly fail: Fail;

  constructor(file: ByteSource, start: number, fail: Fail) {
    this.#file = file;
    this.#window = new ByteWindow(file, start, file.size);
    this.fail = fail;
  }

  get position(): number {
    return this.#window.position;
  }

  /** Bytes from the cursor to the end of the file. */
  get left(): number {
    return this.#file.size - this.#window.position;
  }

  uint8(what: string): number {
    this.#need(1, what);
    const value = this.#window.peek();
    this.#window.advance();
    return value;
  }

  uint32(what: string): number {
    this.#need(4, what);
    const value = this.#window.uint32();
    this.#window.advance(4);
    return value;
  }

  /** A count, length, size or offset. Fails above 2^53 − 1, which no file reaches and a number cannot hold. */
  uint64(what: string, of = ''): number {
    this.#need(8, what);
    const low = this.#window.uint32();
    const high = this.#window.uint32(4);
    if (high >= 2 ** 21) {
      const value = BigInt(high) * 2n ** 32n + BigInt(low);
      this.fail(`${what}${of} is ${value}; at most ${Number.MAX_SAFE_INTEGER} can be meant`);
    }
    this.#window.advance(8);
    return high * 2 ** 32 + low;
  }

  /** A length and as many bytes of UTF-8. */
  string(what: string, maxBytes = MAX_STRING_BYTES): string {
    return asBuffer(this.#text(what, maxBytes)).toString('utf8');
  }

  /** Passes a string without looking at its bytes. */
  skipString(what: string): void {
    const length = this.#stringLength(what, MAX_STRING_BYTES);
    this.#window.skip(length);
  }

  /** The next bytes, which the caller may keep. */
  bytes(length: number, what: string): Uint8Array<ArrayBuffer> {
    if (length > this.left) this.fail(`${what} takes ${length} bytes, and the file has ${this.left} left`);
    const bytes = length <= FROM_WINDOW_BYTES ? this.#copied(length, what) : this.#kept(this.position, length);
    this.#window.skip(length);
    return bytes;
  }

  /** The bytes between an earlier position and this one, again. */
  bytesSince(start: number): Uint8Array<ArrayBuffer> {
    return this.#kept(start, this.position - start);
  }

  /** A view of the next string's bytes, which holds until the next call; the cursor is after them. */
  #text(what: string, maxBytes: number): Uint8Array {
    const length = this.#stringLength(what, maxBytes);
    this.#need(length, what);
    const bytes = this.#window.next(length);
    if (!isUtf8(bytes)) this.fail(`${what} is invalid UTF-8: ${quoted(asBuffer(bytes).toString('latin1'))}`);
    this.#window.advance(length);
    return bytes;
  }

  #stringLength(what: string, maxBytes: number): number {
    const length = this.uint64('the length of ', what);
    if (length > this.left) this.fail(`${what} declares ${length} bytes, and the file has ${this.left} left`);
    if (length > maxBytes) this.fail(`${what} has ${length} bytes; at most ${maxBytes} are read`);
    return length;
  }

  #need(count: number, what: string): void {
    if (count > 0 && this.#window.peek(count - 1) === -1) {
      this.fail(`it ends within ${what}, at byte ${this.#file.size}`);
    }
  }

  #copied(length: number, what: string): Uint8Array<ArrayBuffer> {
    this.#need(length, what);
    return new Uint8Array(this.#window.next(length));
  }

  #kept(start: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    this.#file.readSync(start, bytes);
    return bytes;
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
