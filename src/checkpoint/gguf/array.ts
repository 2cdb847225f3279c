import { isUtf8 } from 'node:buffer';
import type { GgufCursor } from './cursor.js';
import { type GgufArray, type GgufValueType, VALUE_TYPES } from './value.js';

/** What all metadata of one file may take: five times the largest known, a vocabulary of 262 144 tokens and its merges. */
export const MAX_METADATA_BYTES = 32 * 1024 * 1024;
/** llama.cpp reads no nested arrays and no known model has one; the specification sets no limit. */
const MAX_DEPTH = 4;
/** Each is an object in memory, however short. */
const MAX_NESTED_ARRAYS = 10_000;

/** What bounds the metadata as it is read. */
export interface MetadataBudget {
  /** Where the metadata must have ended. */
  readonly end: number;
  nestedArrays: number;
}

type Decode = (bytes: Uint8Array<ArrayBuffer>) => ArrayLike<unknown>;

const view =
  <Elements>(type: new (buffer: ArrayBuffer) => Elements) =>
  (bytes: Uint8Array<ArrayBuffer>): Elements =>
    new type(bytes.buffer);

const DECODERS: Readonly<Record<Exclude<GgufValueType, 'array'>, Decode>> = {
  u8: view(Uint8Array),
  i8: view(Int8Array),
  u16: view(Uint16Array),
  i16: view(Int16Array),
  u32: view(Uint32Array),
  i32: view(Int32Array),
  f32: view(Float32Array),
  u64: view(BigUint64Array),
  i64: view(BigInt64Array),
  f64: view(Float64Array),
  bool: (bytes) => Array.from(bytes, (byte) => byte === 1),
  string: decodeStrings,
};

/** An array of a file as its bytes, until somebody wants the values. */
class StoredArray {
  readonly type = 'array';
  readonly of: Exclude<GgufValueType, 'array'>;
  readonly length: number;
  /** The elements as the file has them. */
  readonly encoded: Uint8Array<ArrayBuffer>;
  #values: ArrayLike<unknown> | undefined;

  constructor(of: Exclude<GgufValueType, 'array'>, length: number, encoded: Uint8Array<ArrayBuffer>) {
    this.of = of;
    this.length = length;
    this.encoded = encoded;
  }

  get values(): ArrayLike<unknown> {
    this.#values ??= DECODERS[this.of](this.encoded);
    return this.#values;
  }
}

/** An array's encoded elements and their number, if it came from a file; undefined for one made by hand. */
export function encodedElements(array: GgufArray): { readonly length: number; readonly bytes: Uint8Array } | undefined {
  return array instanceof StoredArray ? { length: array.length, bytes: array.encoded } : undefined;
}

/** Reads an array's element type, length and elements. Fails for what the budget and the file have no room for. */
export function readArray(cursor: GgufCursor, budget: MetadataBudget, depth = 1): GgufArray {
  const of = readValueType(cursor, 'its element type');
  const length = cursor.uint64('its number of elements');
  if (of === 'array') return readNested(cursor, length, { budget, depth });
  if (of === 'string') {
    const start = cursor.position;
    refuseExcess(cursor, length * 8, { length, budget });
    for (let i = 0; i < length; i += 1) {
      cursor.skipString('an element');
      if (cursor.position > budget.end) refuseExcess(cursor, 0, { length, budget });
    }
    const encoded = cursor.bytesSince(start);
    refuseInvalidText(cursor, encoded);
    return stored('string', length, encoded);
  }
  const bytes = length * VALUE_TYPES.find(({ name }) => name === of)!.bytes!;
  refuseExcess(cursor, bytes, { length, budget });
  const encoded = cursor.bytes(bytes, 'its elements');
  if (of === 'bool') for (let i = 0; i < length; i += 1) refuseOddBool(cursor, encoded[i]!);
  return stored(of, length, encoded);
}

/** A value type's number, checked. */
export function readValueType(cursor: GgufCursor, what: string): GgufValueType {
  const number = cursor.uint32(what);
  const type = VALUE_TYPES[number];
  if (type === undefined) return cursor.fail(`${what} is ${number}; types are 0 to ${VALUE_TYPES.length - 1}`);
  return type.name;
}

/** The specification calls any other byte invalid; llama.cpp takes it for true. */
export function refuseOddBool(cursor: GgufCursor, byte: number): void {
  if (byte > 1) cursor.fail(`a bool is the byte ${byte}; 0 and 1 are allowed`);
}

function stored(of: Exclude<GgufValueType, 'array'>, length: number, encoded: Uint8Array<ArrayBuffer>): GgufArray {
  // The decoders' table keeps elements and their type together; the union of types cannot say so.
  return new StoredArray(of, length, encoded) as unknown as GgufArray;
}

function readNested(
  cursor: GgufCursor,
  length: number,
  { budget, depth }: { readonly budget: MetadataBudget; readonly depth: number },
): GgufArray {
  if (depth === MAX_DEPTH) cursor.fail(`it has arrays nested deeper than ${MAX_DEPTH}`);
  budget.nestedArrays += length;
  if (budget.nestedArrays > MAX_NESTED_ARRAYS) {
    cursor.fail(`it has ${budget.nestedArrays} arrays in arrays; at most ${MAX_NESTED_ARRAYS} are read`);
  }
  const values: GgufArray[] = [];
  for (let i = 0; i < length; i += 1) values.push(readArray(cursor, budget, depth + 1));
  return { type: 'array', of: 'array', values };
}

/** Elements that take at least so many bytes, against the file's end and the budget. */
function refuseExcess(
  cursor: GgufCursor,
  bytes: number,
  { length, budget }: { readonly length: number; readonly budget: MetadataBudget },
): void {
  if (bytes > cursor.left) {
    cursor.fail(`it declares ${length} elements, which take ${bytes} bytes or more; the file has ${cursor.left} left`);
  }
  if (cursor.position + bytes > budget.end) {
    cursor.fail(`with its ${length} elements the metadata has more than the ${MAX_METADATA_BYTES} bytes allowed`);
  }
}

/** Texts that are checked at a time. */
const CHECKED_BYTES = 1024 * 1024;

/**
 * Checks many short strings at once, as one text with zeros for their lengths: a vocabulary has a million of them. A string
 * that ends within a character stays invalid, as a zero continues none.
 */
function refuseInvalidText(cursor: GgufCursor, encoded: Uint8Array<ArrayBuffer>): void {
  const bytes = Buffer.from(encoded.buffer);
  for (let start = 0; start < bytes.length; ) {
    let end = start;
    while (end < bytes.length && end - start < CHECKED_BYTES) end = endOfString(bytes, end);
    const texts = Buffer.from(bytes.subarray(start, end));
    for (let at = 0; at < texts.length; ) {
      const next = endOfString(texts, at);
      texts.writeUInt32LE(0, at);
      at = next;
    }
    if (!isUtf8(texts)) cursor.fail('an element is invalid UTF-8');
    start = end;
  }
}

/** Where the string at a position ends. Its length is below MAX_STRING_BYTES: the upper half is zero. */
function endOfString(bytes: Buffer, at: number): number {
  return at + 8 + bytes.readUInt32LE(at);
}

/** The UTF-8 was checked when the array was read. */
function decodeStrings(encoded: Uint8Array<ArrayBuffer>): string[] {
  const bytes = Buffer.from(encoded.buffer);
  const strings: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = endOfString(bytes, at);
    strings.push(bytes.toString('utf8', at + 8, end));
    at = end;
  }
  return strings;
}
