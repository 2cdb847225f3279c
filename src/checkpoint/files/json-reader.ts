import { ByteWindow, type PositionalBytes } from './byte-window.js';
import { quoted } from './quote.js';

export interface JsonRange {
  readonly start: number;
  readonly end: number;
  /** Bytes that all strings of the text may have together. */
  readonly maxTextBytes: number;
}

/** The longest single text seen in real files, training tags in `__metadata__`, has about 1 MB. */
const MAX_STRING_BYTES = 4 * 1024 * 1024;
/** Keys of one object. The largest published models have 210 000 tensors, and those in many files. */
export const MAX_KEYS = 250_000;
const MAX_NUMBER_CHARACTERS = 400;
const MAX_DEPTH = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads JSON (RFC 8259) strictly and in the order of the text, a window at a time, so that memory stays small whatever the
 * text's length. Stricter than `JSON.parse` where two readers could disagree: no key twice in one object, no lone surrogates,
 * no invalid UTF-8, no byte order mark. What it finds wrong goes to `fail`, which throws.
 */
export class JsonReader {
  readonly fail: (problem: string) => never;
  readonly #bytes: ByteWindow;
  #textLeft: number;

  constructor(source: PositionalBytes, { start, end, maxTextBytes }: JsonRange, fail: (problem: string) => never) {
    this.#bytes = new ByteWindow(source, start, end);
    this.#textLeft = maxTextBytes;
    this.fail = fail;
  }

  /** Reads an object; `visit` must read the value of each key. */
  object(what: string, visit: (key: string) => void): void {
    this.#take('{', what);
    const seen = new Set<string>();
    if (this.#takeIf('}')) return;
    do {
      const key = this.string(what);
      if (seen.has(key)) this.fail(`${what} has the key ${quoted(key)} twice`);
      if (seen.size === MAX_KEYS) this.fail(`${what} has more than ${MAX_KEYS} keys`);
      seen.add(key);
      this.#take(':', what);
      visit(key);
    } while (this.#takeCommaOr('}', what));
  }

  /** Reads an array; `visit` must read each element. */
  array(what: string, visit: () => void): void {
    this.#take('[', what);
    if (this.#takeIf(']')) return;
    do visit();
    while (this.#takeCommaOr(']', what));
  }

  string(what: string): string {
    if (this.#skipSpace() !== QUOTE) this.#unexpected('a string', what);
    this.#bytes.advance();
    const { length, bits, escaped } = this.#measureString(what);
    // Nearly all names are ASCII, where a byte is a character.
    const isPlain = bits < 0x80 && !escaped;
    const text = isPlain ? this.#bytes.nextAscii(length) : this.#decode(this.#bytes.next(length), escaped, what);
    this.#bytes.advance(length + 1);
    return text;
  }

  /** Reads a whole number from 0 to 2^53 − 1, written in digits only. */
  integer(what: string): number {
    this.#skipSpace();
    let length = 0;
    let value = 0;
    for (let digit = this.#digit(0); digit >= 0 && length < 15; digit = this.#digit(length)) {
      value = value * 10 + digit;
      length += 1;
    }
    // What was read is exact, and no other spelling of it. Everything else is decided, or refused, with care.
    const isSimple = length > 0 && !isNumberPart(this.#bytes.peek(length)) && (length === 1 || this.#digit(0) !== 0);
    if (!isSimple) return this.#carefulInteger(what);
    this.#bytes.advance(length);
    return value;
  }

  #digit(ahead: number): number {
    const byte = this.#bytes.peek(ahead);
    return byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : -1;
  }

  #carefulInteger(what: string): number {
    const text = this.#number(what);
    if (!/^(?:0|[1-9][0-9]*)$/.test(text)) {
      return this.fail(`${what} holds ${text}, where only whole numbers from 0 on are allowed`);
    }
    const value = Number(text);
    if (value <= Number.MAX_SAFE_INTEGER) return value;
    return this.fail(`${what} holds ${text.slice(0, 24)}, which is above 2^53 − 1`);
  }

  /** Reads any value, checks it, and drops it. */
  skip(what: string, depth = 0): void {
    if (depth > MAX_DEPTH) this.fail(`${what} is nested more than ${MAX_DEPTH} levels deep`);
    const first = String.fromCharCode(Math.max(0, this.#skipSpace()));
    if (first === '{') this.object(what, () => this.skip(what, depth + 1));
    else if (first === '[') this.array(what, () => this.skip(what, depth + 1));
    else if (first === '"') this.string(what);
    else if (/[-0-9]/.test(first)) this.#skipNumber(what);
    else this.#skipWord(what);
  }

  /** Checks that nothing follows but `padding`: spaces, or any white space of JSON. */
  end(what: string, padding: 'spaces' | 'white space'): void {
    for (let byte = this.#bytes.peek(); byte !== -1; byte = this.#bytes.peek()) {
      const isPadding = padding === 'spaces' ? byte === SPACE : isWhiteSpace(byte);
      if (!isPadding) this.fail(`after ${what} comes ${character(byte)}, where only ${padding} may follow`);
      this.#bytes.advance();
    }
  }

  #take(expected: string, what: string): void {
    if (!this.#takeIf(expected)) this.#unexpected(`"${expected}"`, what);
  }

  #takeIf(expected: string): boolean {
    const found = this.#skipSpace() === expected.charCodeAt(0);
    if (found) this.#bytes.advance();
    return found;
  }

  #takeCommaOr(close: string, what: string): boolean {
    if (this.#takeIf(',')) return true;
    if (!this.#takeIf(close)) this.#unexpected(`"," or "${close}"`, what);
    return false;
  }

  /** The number of bytes up to the closing quote, all bits that occur in them, and whether one is a backslash. */
  #measureString(what: string): { length: number; bits: number; escaped: boolean } {
    const most = Math.min(MAX_STRING_BYTES, this.#textLeft);
    let length = 0;
    let bits = 0;
    let escaped = false;
    for (let byte = this.#bytes.peek(); byte !== QUOTE; byte = this.#bytes.peek(length)) {
      if (byte === -1) this.fail(`${what} ends within a string`);
      if (byte < SPACE) this.fail(`${what} has ${character(byte)} in a string, which must be written as an escape`);
      if (byte === BACKSLASH) escaped = true;
      bits |= byte;
      // A backslash takes the next byte along, which may be a quote.
      length += byte === BACKSLASH ? 2 : 1;
      if (length > most) this.fail(`${what} has more text than the ${most} bytes that are left for it`);
    }
    this.#textLeft -= length;
    return { length, bits, escaped };
  }

  #decode(raw: Uint8Array, escaped: boolean, what: string): string {
    let text: string;
    try {
      text = UTF8.decode(raw);
      if (escaped) text = JSON.parse(`"${text}"`) as string;
    } catch {
      // Either says no more than that.
      return this.fail(`${what} has a string with invalid UTF-8 or an invalid escape`);
    }
    // With the u flag a surrogate matches only where it has no partner.
    return /\p{Surrogate}/u.test(text) ? this.fail(`${what} has a string with a lone surrogate`) : text;
  }

  #number(what: string): string {
    if (!isNumberPart(this.#skipSpace())) this.#unexpected('a number', what);
    let length = 0;
    while (isNumberPart(this.#bytes.peek(length))) {
      length += 1;
      if (length > MAX_NUMBER_CHARACTERS) this.fail(`${what} has a number of over ${MAX_NUMBER_CHARACTERS} digits`);
    }
    const text = this.#bytes.nextAscii(length);
    this.#bytes.advance(length);
    return text;
  }

  #skipNumber(what: string): void {
    const text = this.#number(what);
    if (!/^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$/.test(text))
      this.fail(`${what} has the number ${text}`);
  }

  #skipWord(what: string): void {
    const isWord = (word: string) => [...word].every((letter, i) => this.#bytes.peek(i) === letter.charCodeAt(0));
    const word = ['true', 'false', 'null'].find(isWord);
    if (word === undefined) this.#unexpected('a value', what);
    this.#bytes.advance(word.length);
  }

  #unexpected(expected: string, what: string): never {
    const byte = this.#bytes.peek();
    const found = byte === -1 ? 'the end' : character(byte);
    return this.fail(`${what} has ${found} at byte ${this.#bytes.position}, where ${expected} must come`);
  }

  /** The next byte that is no white space, left unread; −1 at the end. */
  #skipSpace(): number {
    let byte = this.#bytes.peek();
    while (isWhiteSpace(byte)) {
      this.#bytes.advance();
      byte = this.#bytes.peek();
    }
    return byte;
  }
}

function isWhiteSpace(byte: number): boolean {
  return byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Digits, and + - . e E. */
function isNumberPart(byte: number): boolean {
  const isDigit = byte >= 0x30 && byte <= 0x39;
  return isDigit || byte === 0x2b || byte === 0x2d || byte === 0x2e || byte === 0x45 || byte === 0x65;
}

function character(byte: number): string {
  if (byte > SPACE && byte < 0x7f) return `"${String.fromCharCode(byte)}"`;
  return `the byte 0x${byte.toString(16).padStart(2, '0')}`;
}
