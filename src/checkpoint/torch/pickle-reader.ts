import { ByteWindow, type PositionalBytes } from '../files/byte-window.js';
import { type ArgumentLayout, OPCODES, type OpcodeName } from './pickle-opcodes.js';
import {
  bytesOfLiteral,
  decodeText,
  floatOfLine,
  integerOfBytes,
  integerOfLine,
  textOfRawEscapes,
} from './pickle-text.js';

/** What an opcode carries: nothing, a number or truth value, text, bytes, or the two names of GLOBAL and INST. */
export type PickleArgument =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly [module: string, name: string];

export interface PickleRange {
  readonly start: number;
  readonly end: number;
  /** What is taken off positions in messages: where the member of an archive starts, or 0. */
  readonly origin?: number;
}

/** A text line, name or number: twice the longest name that anything real has. */
const MAX_LINE_BYTES = 64 * 1024;
/** The longest single text or bytes of one opcode. A tokenizer or configuration that was saved along has a few MB. */
const MAX_TEXT_BYTES = 8 * 1024 * 1024;
/** 255 bytes are what LONG1 can have; no number in a checkpoint comes near. */
const MAX_LONG_BYTES = 255;

const NEWLINE = 0x0a;

/**
 * Reads a pickle opcode by opcode, and never more of it than one argument needs. `next` sets `name`, `argument` and
 * `position`. Arguments are checked against the bytes that are there before anything is allocated. What breaks the encoding
 * goes to `fail`, which throws.
 */
export class PickleReader {
  readonly #bytes: ByteWindow;
  readonly #end: number;
  readonly #origin: number;
  readonly #fail: (problem: string) => never;
  name: OpcodeName = 'STOP';
  /** Its byte. */
  code = 0;
  argument: PickleArgument = null;
  /** Of the opcode, from the start of the pickle's file or member. */
  position = 0;

  constructor(source: PositionalBytes, { start, end, origin = 0 }: PickleRange, fail: (problem: string) => never) {
    this.#bytes = new ByteWindow(source, start, end);
    this.#end = end;
    this.#origin = origin;
    this.#fail = fail;
  }

  /** Where the next opcode starts, from the start of the source. */
  get offset(): number {
    return this.#bytes.position;
  }

  get bytesLeft(): number {
    return this.#end - this.#bytes.position;
  }

  /** Reads the next opcode. At the end of the bytes it fails: a pickle ends with STOP. */
  next(): void {
    this.position = this.#bytes.position - this.#origin;
    const byte = this.#bytes.peek();
    if (byte === -1) this.#fail(`it ends at byte ${this.position}, before its STOP`);
    const opcode = OPCODES[byte];
    if (opcode === undefined) {
      this.#fail(`byte ${this.position} is 0x${byte.toString(16).padStart(2, '0')}, which is no opcode`);
    }
    this.#bytes.advance();
    this.code = byte;
    this.name = opcode.name;
    this.argument = this.#readArgument(opcode.argument);
  }

  #readArgument(layout: ArgumentLayout): PickleArgument {
    switch (layout) {
      case 'none':
        return null;
      case 'line':
        return this.#lineArgument();
      case 'two lines':
        return [this.#utf8(this.#line()), this.#utf8(this.#line())];
      case 'f8':
        return viewOf(this.#take(8)).getFloat64(0);
      case 'i4':
        return viewOf(this.#take(4)).getInt32(0, true);
      case 'u1':
      case 'u2':
      case 'u4':
      case 'u8':
        return this.#unsigned(Number(layout[1]));
      default:
        return this.#counted(layout.slice(0, -1), Number(layout.at(-1)));
    }
  }

  #counted(kind: string, countBytes: number): PickleArgument {
    const length = this.#unsigned(countBytes);
    const most = kind === 'long' ? MAX_LONG_BYTES : MAX_TEXT_BYTES;
    if (length > this.bytesLeft) this.#fail(`${this.#here()} declares ${length} bytes, and ${this.bytesLeft} follow`);
    if (length > most) this.#fail(`${this.#here()} declares ${length} bytes; at most ${most} are read`);
    const bytes = this.#take(length);
    if (kind === 'long') return integerOfBytes(bytes);
    return kind === 'bytes' ? bytes.slice() : this.#utf8(bytes);
  }

  #lineArgument(): PickleArgument {
    const line = this.#line();
    switch (this.name) {
      case 'STRING':
        return this.#utf8(bytesOfLiteral(line) ?? this.#fail(`${this.#here()} has no text in quotes`));
      case 'UNICODE':
        return textOfRawEscapes(line) ?? this.#fail(`${this.#here()} has a broken escape`);
      case 'INT':
      case 'LONG':
      case 'GET':
      case 'PUT':
        return integerOfLine(line) ?? this.#fail(`${this.#here()} has no number`);
      case 'FLOAT':
        return floatOfLine(line) ?? this.#fail(`${this.#here()} has no number`);
      default:
        return this.#utf8(line);
    }
  }

  /** The bytes up to the next line feed, which is passed. A view that holds until the next read. */
  #line(): Uint8Array {
    let length = 0;
    for (let byte = this.#bytes.peek(); byte !== NEWLINE; byte = this.#bytes.peek(length)) {
      if (byte === -1) this.#fail(`${this.#here()} ends within a line`);
      length += 1;
      if (length > MAX_LINE_BYTES) this.#fail(`${this.#here()} has a line of over ${MAX_LINE_BYTES} bytes`);
    }
    const line = this.#bytes.next(length);
    this.#bytes.advance(length + 1);
    return line;
  }

  #unsigned(width: number): number {
    if (width > this.bytesLeft) this.#fail(`${this.#here()} is cut off after ${this.bytesLeft} bytes`);
    let value = 0;
    for (let i = width - 1; i >= 0; i -= 1) value = value * 256 + this.#bytes.peek(i);
    this.#bytes.advance(width);
    // Above 2^53 it is no longer exact, and far above all that it is compared with.
    return value;
  }

  /** The next bytes. A view that holds until the next read. */
  #take(length: number): Uint8Array {
    if (length > this.bytesLeft) this.#fail(`${this.#here()} is cut off after ${this.bytesLeft} bytes`);
    // The window doubles at each turn; that the bytes exist is known.
    while (length > 0 && this.#bytes.peek(length - 1) === -1);
    const bytes = this.#bytes.next(length);
    this.#bytes.advance(length);
    return bytes;
  }

  #utf8(bytes: Uint8Array): string {
    return decodeText(bytes) ?? this.#fail(`${this.#here()} has text that is not UTF-8`);
  }

  #here(): string {
    return `${this.name} at byte ${this.position}`;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
