import { BirdboneError } from '../errors.js';
import { DTYPES, type Dtype } from './dtype.js';

/**
 * Values of packed little-endian elements as float32, in an array of its own. Exact for every element type of at most 16 bits;
 * F64, I32, U32, I64 and U64 are rounded to nearest even (the 64-bit integers by way of float64). NaN payloads of up to
 * 32 bits are kept. `bytes` may start at any address. Throws `unsupported` for types without a float value of their own (complex, packed
 * below 8 bits) and a RangeError for a part of an element.
 *
 * @example decodeToF32(new Uint8Array([0x80, 0x3f]), 'BF16') // Float32Array [1]
 */
export function decodeToF32(bytes: Uint8Array, dtype: Dtype): Float32Array {
  const decode = DECODERS[dtype];
  if (decode === undefined) {
    throw new BirdboneError('unsupported', `Values of type ${dtype} cannot be read as floats.`, {
      suggestions: [`Types that can: ${Object.keys(DECODERS).join(', ')}`],
    });
  }
  const elementBytes = DTYPES[dtype].bits / 8;
  if (bytes.length % elementBytes !== 0) {
    throw new RangeError(`${bytes.length} bytes are no whole number of ${dtype} elements.`);
  }
  return decode(aligned(bytes, elementBytes));
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
const readAs = (type: ViewType<ArrayLike<number>>) => (bytes: Uint8Array) => new Float32Array(view(type, bytes));

const readBig = (type: ViewType<BigInt64Array | BigUint64Array>) => (bytes: Uint8Array) =>
  Float32Array.from(view(type, bytes) as ArrayLike<unknown> as ArrayLike<bigint>, Number);

/** Element types of at most 16 bits: one float32 bit pattern for each code, made at first use. */
function lookUp(codes: ViewType<Uint8Array | Uint16Array>, makeTable: () => Uint32Array) {
  let table: Uint32Array | undefined;
  return (bytes: Uint8Array): Float32Array => {
    table ??= makeTable();
    const input = view(codes, bytes);
    const output = new Uint32Array(input.length);
    for (let i = 0; i < input.length; i += 1) output[i] = table[input[i]!]!;
    return new Float32Array(output.buffer);
  };
}

function decodeBf16(bytes: Uint8Array): Float32Array {
  const input = view(Uint16Array, bytes);
  const output = new Uint32Array(input.length);
  for (let i = 0; i < input.length; i += 1) output[i] = input[i]! << 16;
  return new Float32Array(output.buffer);
}

/** Bit patterns of an IEEE-like format: sign, `exponentBits`, `mantissaBits`, subnormals, all-ones exponent = Inf and NaN. */
function ieeeTable(exponentBits: number, mantissaBits: number): Uint32Array {
  const special = 2 ** exponentBits - 1;
  return floatTable(exponentBits, mantissaBits, (exponent, mantissa) =>
    exponent === special ? 0x7f80_0000 | (mantissa << (23 - mantissaBits)) : undefined,
  );
}

/** OCP 8-bit E4M3 ("fn": finite): no Inf, and only the two all-ones codes are NaN. Source: OCP OFP8 specification 1.0, table 1. */
function e4m3Table(): Uint32Array {
  return floatTable(4, 3, (exponent, mantissa) => (exponent === 15 && mantissa === 7 ? 0x7fc0_0000 : undefined));
}

function floatTable(
  exponentBits: number,
  mantissaBits: number,
  specialBits: (exponent: number, mantissa: number) => number | undefined,
): Uint32Array {
  const bias = 2 ** (exponentBits - 1) - 1;
  const magnitudes = 2 ** (exponentBits + mantissaBits);
  const values = new Float32Array(2 * magnitudes);
  const bits = new Uint32Array(values.buffer);
  for (let code = 0; code < magnitudes; code += 1) {
    const exponent = code >>> mantissaBits;
    const mantissa = code & (2 ** mantissaBits - 1);
    // A subnormal has no implicit 1 and the exponent of the smallest normal number.
    values[code] =
      (mantissa + (exponent === 0 ? 0 : 2 ** mantissaBits)) * 2 ** (Math.max(exponent, 1) - bias - mantissaBits);
    bits[code] = specialBits(exponent, mantissa) ?? bits[code]!;
    bits[code + magnitudes] = bits[code]! | 0x8000_0000;
  }
  return bits;
}

/** OCP 8-bit scale: 2^(code − 127), 255 is NaN. Source: OCP Microscaling (MX) specification 1.0, section 5.4.1. */
function e8m0Table(): Uint32Array {
  const values = Float32Array.from({ length: 256 }, (_, code) => (code === 255 ? Number.NaN : 2 ** (code - 127)));
  return new Uint32Array(values.buffer);
}

const DECODERS: Partial<Record<Dtype, (bytes: Uint8Array) => Float32Array>> = {
  F32: (bytes) => new Float32Array(new Uint8Array(bytes).buffer),
  BF16: decodeBf16,
  F16: lookUp(Uint16Array, () => ieeeTable(5, 10)),
  F64: readAs(Float64Array),
  F8_E4M3: lookUp(Uint8Array, e4m3Table),
  F8_E5M2: lookUp(Uint8Array, () => ieeeTable(5, 2)),
  F8_E8M0: lookUp(Uint8Array, e8m0Table),
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
