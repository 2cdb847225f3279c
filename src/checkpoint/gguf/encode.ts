import { encodedElements } from './array.js';
import { type GgufArray, type GgufMetadata, type GgufValue, type GgufValueType, VALUE_TYPES } from './value.js';

/** A metadata section as a GGUF file has it: each key, the number of its type, and its value, in the map's order. */
export function encodeMetadata(metadata: GgufMetadata): Buffer {
  const parts: Uint8Array[] = [];
  for (const [key, value] of metadata) parts.push(encodeString(key), typeNumber(value.type), encodeValue(value));
  return Buffer.concat(parts);
}

/** A text as its length in bytes, u64, and UTF-8. Throws a RangeError for a lone surrogate, which UTF-8 does not have. */
export function encodeString(text: string): Buffer {
  if (/\p{Surrogate}/u.test(text)) throw new RangeError(`A lone surrogate cannot be written: ${JSON.stringify(text)}.`);
  const bytes = Buffer.from(text);
  return Buffer.concat([encodeUint64(bytes.length), bytes]);
}

export function encodeUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function encodeUint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function typeNumber(type: GgufValueType): Buffer {
  return encodeUint32(VALUE_TYPES.findIndex(({ name }) => name === type));
}

function encodeValue(value: GgufValue): Uint8Array {
  if (value.type === 'array') return encodeArray(value);
  if (value.type === 'string') return encodeString(value.value);
  return encodeElements({ type: 'array', of: value.type, values: [value.value] } as GgufArray);
}

function encodeArray(array: GgufArray): Buffer {
  const { length, bytes } = encodedElements(array) ?? { length: array.values.length, bytes: encodeElements(array) };
  return Buffer.concat([typeNumber(array.of), encodeUint64(length), bytes]);
}

type Setter = (view: DataView, at: number, value: never) => void;

const SETTERS: Readonly<Record<Exclude<GgufValueType, 'string' | 'array'>, Setter>> = {
  u8: (view, at, value) => view.setUint8(at, value),
  i8: (view, at, value) => view.setInt8(at, value),
  u16: (view, at, value) => view.setUint16(at, value, true),
  i16: (view, at, value) => view.setInt16(at, value, true),
  u32: (view, at, value) => view.setUint32(at, value, true),
  i32: (view, at, value) => view.setInt32(at, value, true),
  f32: (view, at, value) => view.setFloat32(at, value, true),
  bool: (view, at, value) => view.setUint8(at, Number(value)),
  u64: (view, at, value) => view.setBigUint64(at, value, true),
  i64: (view, at, value) => view.setBigInt64(at, value, true),
  f64: (view, at, value) => view.setFloat64(at, value, true),
};

const INTEGER = /^([ui])(\d+)$/;

/** An array's elements as a GGUF file has them. */
export function encodeElements(array: GgufArray): Uint8Array {
  if (array.of === 'array') return Buffer.concat(array.values.map(encodeArray));
  if (array.of === 'string') return Buffer.concat(array.values.map(encodeString));
  const { of, values } = array;
  const elementBytes = VALUE_TYPES.find(({ name }) => name === of)!.bytes!;
  const view = new DataView(new ArrayBuffer(values.length * elementBytes));
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i]!;
    refuseUnfitting(of, value);
    SETTERS[of](view, i * elementBytes, value as never);
  }
  return new Uint8Array(view.buffer);
}

/** A setter of a DataView wraps around: 256 as u8 would silently be 0. */
function refuseUnfitting(of: GgufValueType, value: number | bigint | boolean): void {
  const [, sign, bits] = INTEGER.exec(of) ?? [];
  if (sign === undefined) return;
  const whole = typeof value === 'bigint' || Number.isInteger(value) ? BigInt(value) : undefined;
  const fits = sign === 'u' ? BigInt.asUintN(Number(bits), whole ?? 0n) : BigInt.asIntN(Number(bits), whole ?? 0n);
  if (whole !== fits) throw new RangeError(`${value} is no ${of}.`);
}
