import { BirdboneError } from '../errors.js';
import { DTYPES, type Dtype, type ElementDtype, isBlockDtype } from './dtype.js';
import { e4m3Table, e8m0Table, ieeeTable } from './float-tables.js';
import { dequantize } from './quantized/dequantize.js';
import { widenHalves } from './widen.js';

/**
 * Values of packed little-endian elements as float32, in an array of its own. Exact for every element type of at most 16 bits;
 * F64, I32, U32, I64 and U64 are rounded to nearest even (the 64-bit integers by way of float64). NaN payloads of up to
 * 32 bits are kept. Block types are dequantized as ggml does (see `dequantize`). `bytes` may start at any address. Throws
 * `unsupported` for types without a float value of their own (complex, packed below 8 bits) and a RangeError for a part of an
 * element or block.
 *
 * @example decodeToF32(new Uint8Array([0x80, 0x3f]), 'BF16') // Float32Array [1]
 */
export function decodeToF32(bytes: Uint8Array, dtype: Dtype): Float32Array {
  if (isBlockDtype(dtype)) return dequantize(bytes, dtype);
  const { decode, count } = decoderOf(bytes, dtype);
  const values = new Float32Array(count);
  decode(bytes, values);
  return values;
}

/** As `decodeToF32`, from the start of memory that is there; returns how many values it has written. RangeError where they do not fit. */
export function decodeInto(bytes: Uint8Array, dtype: Dtype, target: Float32Array): number {
  if (isBlockDtype(dtype)) {
    const values = dequantize(bytes, dtype);
    target.set(values);
    return values.length;
  }
  const { decode, count } = decoderOf(bytes, dtype);
  if (count > target.length) throw new RangeError(`${count} values do not fit into ${target.length}.`);
  decode(bytes, target.subarray(0, count));
  return count;
}

/** Writes the values of so many whole elements, over all of `values`. */
type Decoder = (bytes: Uint8Array, values: Float32Array) => void;

function decoderOf(bytes: Uint8Array, dtype: ElementDtype): { readonly decode: Decoder; readonly count: number } {
  const decode = DECODERS[dtype];
  if (decode === undefined) {
    throw new BirdboneError('unsupported', `Values of type ${dtype} cannot be read as floats.`, {
      suggestions: [`Types that can: ${Object.keys(DECODERS).join(', ')}, and ggml's block types`],
    });
  }
  const elementBytes = DTYPES[dtype].bits / 8;
  if (bytes.length % elementBytes !== 0) {
    throw new RangeError(`${bytes.length} bytes are no whole number of ${dtype} elements.`);
  }
  return { decode: (from, values) => decode(aligned(from, elementBytes), values), count: bytes.length / elementBytes };
}

/** The same bytes at an address that a typed array of such elements may start at; a copy only where it must be. */
function aligned(bytes: Uint8Array, elementBytes: number): Uint8Array {
  return bytes.byteOffset % elementBytes === 0 ? bytes : new Uint8Array(bytes);
}

interface ViewType<Elements> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): Elements;
}

function view<Elements>(type: ViewType<Elements>, bytes: Uint8Array): Elements {
  return new type(bytes.buffer, bytes.byteOffset, bytes.length / type.BYTES_PER_ELEMENT);
}

/** Element types that a typed array reads by itself; assigning to a Float32Array rounds to nearest even. */
const readAs =
  (type: ViewType<ArrayLike<number>>): Decoder =>
  (bytes, values) =>
    values.set(view(type, bytes));

const readBig =
  (type: ViewType<BigInt64Array | BigUint64Array>): Decoder =>
  (bytes, values) => {
    const input = view(type, bytes);
    for (let i = 0; i < values.length; i += 1) values[i] = Number(input[i]!);
  };

/** The bit patterns of floats. */
const patternsOf = ({ buffer, byteOffset, length }: Float32Array) => new Uint32Array(buffer, byteOffset, length);

/** Element types of 8 bits: one float32 bit pattern for each code, made at first use. */
function lookUp(makeTable: () => Uint32Array): Decoder {
  let table: Uint32Array | undefined;
  return (bytes, values) => {
    table ??= makeTable();
    const output = patternsOf(values);
    for (let i = 0; i < bytes.length; i += 1) output[i] = table[bytes[i]!]!;
  };
}

function copyBytes(bytes: Uint8Array, { buffer, byteOffset, byteLength }: Float32Array): void {
  new Uint8Array(buffer, byteOffset, byteLength).set(bytes);
}

const DECODERS: Partial<Record<ElementDtype, Decoder>> = {
  F32: copyBytes,
  BF16: (bytes, values) => widenHalves(bytes, 'BF16', values),
  F16: (bytes, values) => widenHalves(bytes, 'F16', values),
  F64: readAs(Float64Array),
  F8_E4M3: lookUp(e4m3Table),
  F8_E5M2: lookUp(() => ieeeTable(5, 2)),
  F8_E8M0: lookUp(e8m0Table),
  BOOL: readAs(Uint8Array),
  U8: readAs(Uint8Array),
  I8: readAs(Int8Array),
  U16: readAs(Uint16Array),
  I16: readAs(Int16Array),
  U32: readAs(Uint32Array),
  I32: readAs(Int32Array),
  U64: readBig(BigUint64Array),
  I64: readBig(BigInt64Array),
};
