import { quoted } from '../files/quote.js';
import { MAX_METADATA_BYTES, type MetadataBudget, readArray, readValueType, refuseOddBool } from './array.js';
import type { GgufCursor } from './cursor.js';
import type { GgufScalar, GgufValue, GgufValueType } from './value.js';

/** Published files have some dozens. */
export const MAX_KEYS = 10_000;
/** The specification's limit. */
const MAX_KEY_BYTES = 65_535;

/** Every length-prefixed key takes this at least: its length, a character, a type and a byte. */
const MIN_PAIR_BYTES = 8 + 1 + 4 + 1;

/** Reads `count` pairs of a key and a value; `current` is told each key, for messages. Fails for what the format forbids. */
export function readMetadata(
  cursor: GgufCursor,
  count: number,
  current: (key: string | undefined) => void,
): Map<string, GgufValue> {
  if (count > MAX_KEYS) cursor.fail(`it declares ${count} metadata keys; at most ${MAX_KEYS} are read`);
  if (count * MIN_PAIR_BYTES > cursor.left) {
    cursor.fail(`it declares ${count} metadata keys, and ${cursor.left} bytes follow`);
  }
  const budget: MetadataBudget = { end: cursor.position + MAX_METADATA_BYTES, nestedArrays: 0 };
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i += 1) {
    const key = cursor.string(`metadata key ${i}`, MAX_KEY_BYTES);
    if (key === '' || key.includes('\0')) cursor.fail(`metadata key ${i} is ${quoted(key)}, which is no name`);
    if (metadata.has(key)) cursor.fail(`it has the metadata key ${quoted(key)} twice`);
    current(key);
    metadata.set(key, readValue(cursor, budget));
    if (cursor.position > budget.end) cursor.fail(`the metadata has more than the ${MAX_METADATA_BYTES} bytes allowed`);
    current(undefined);
  }
  return metadata;
}

function readValue(cursor: GgufCursor, budget: MetadataBudget): GgufValue {
  const type = readValueType(cursor, 'its type');
  if (type === 'array') return readArray(cursor, budget);
  if (type === 'string') return { type, value: cursor.string('its text') };
  return readScalar(cursor, type);
}

const SCALARS: Readonly<Record<Exclude<GgufValueType, 'array' | 'string'>, [bytes: number, read: ReadScalar]>> = {
  u8: [1, (bytes) => ({ type: 'u8', value: bytes.readUInt8() })],
  i8: [1, (bytes) => ({ type: 'i8', value: bytes.readInt8() })],
  u16: [2, (bytes) => ({ type: 'u16', value: bytes.readUInt16LE() })],
  i16: [2, (bytes) => ({ type: 'i16', value: bytes.readInt16LE() })],
  u32: [4, (bytes) => ({ type: 'u32', value: bytes.readUInt32LE() })],
  i32: [4, (bytes) => ({ type: 'i32', value: bytes.readInt32LE() })],
  f32: [4, (bytes) => ({ type: 'f32', value: bytes.readFloatLE() })],
  bool: [1, (bytes) => ({ type: 'bool', value: bytes[0] === 1 })],
  u64: [8, (bytes) => ({ type: 'u64', value: bytes.readBigUInt64LE() })],
  i64: [8, (bytes) => ({ type: 'i64', value: bytes.readBigInt64LE() })],
  f64: [8, (bytes) => ({ type: 'f64', value: bytes.readDoubleLE() })],
};

type ReadScalar = (bytes: Buffer) => GgufScalar;

function readScalar(cursor: GgufCursor, type: keyof typeof SCALARS): GgufScalar {
  const [length, read] = SCALARS[type];
  const bytes = Buffer.from(cursor.bytes(length, 'its value').buffer);
  if (type === 'bool') refuseOddBool(cursor, bytes[0]!);
  return read(bytes);
}
