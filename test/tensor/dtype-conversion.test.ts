import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DTYPES, type Dtype, decodeInto, decodeToF32, encodeFromF32 } from '../../src/tensor/index.js';

/** A narrow float format as its specification defines it, in plain float64 arithmetic on numbers. */
interface Format {
  readonly dtype: Dtype;
  readonly bytes: 1 | 2;
  readonly exponentBits: number;
  readonly mantissaBits: number;
  /** E4M3 has no Inf and one NaN mantissa; the others are IEEE-like. */
  readonly finiteOnly?: true;
}

const FORMATS: readonly Format[] = [
  { dtype: 'F16', bytes: 2, exponentBits: 5, mantissaBits: 10 },
  { dtype: 'BF16', bytes: 2, exponentBits: 8, mantissaBits: 7 },
  { dtype: 'F8_E5M2', bytes: 1, exponentBits: 5, mantissaBits: 2 },
  { dtype: 'F8_E4M3', bytes: 1, exponentBits: 4, mantissaBits: 3, finiteOnly: true },
];

function definedValue(format: Format, code: number): number {
  const { bytes, exponentBits, mantissaBits } = format;
  const mantissaCount = 2 ** mantissaBits;
  const sign = code >= 2 ** (8 * bytes - 1) ? -1 : 1;
  const exponent = Math.floor(code / mantissaCount) % 2 ** exponentBits;
  const mantissa = code % mantissaCount;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) {
    if (format.finiteOnly && mantissa !== mantissaCount - 1)
      return sign * 2 ** (exponent - bias) * (1 + mantissa / mantissaCount);
    return !format.finiteOnly && mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  }
  if (exponent === 0) return sign * 2 ** (1 - bias) * (mantissa / mantissaCount);
  return sign * 2 ** (exponent - bias) * (1 + mantissa / mantissaCount);
}

function allCodes(format: Format): Uint8Array {
  const codes = format.bytes === 2 ? new Uint16Array(65536) : new Uint8Array(256);
  for (let code = 0; code < codes.length; code += 1) codes[code] = code;
  return new Uint8Array(codes.buffer);
}

function encodeOne(value: number, dtype: Dtype): number {
  const bytes = encodeFromF32(Float32Array.of(value), dtype);
  return bytes.length === 2 ? bytes[0]! + 256 * bytes[1]! : bytes[0]!;
}

/** Non-negative finite codes in order of value: a code is its own rank. */
function finiteValues(format: Format): number[] {
  const values: number[] = [];
  for (let code = 0; code < 2 ** (8 * format.bytes - 1); code += 1) {
    const value = definedValue(format, code);
    if (Number.isFinite(value)) values.push(value);
  }
  return values;
}

describe.each(FORMATS)('$dtype', (format) => {
  const { dtype } = format;

  it('decodes every code to the value that the specification gives it', () => {
    const decoded = decodeToF32(allCodes(format), dtype);
    for (let code = 0; code < decoded.length; code += 1) {
      const expected = definedValue(format, code);
      if (!Object.is(decoded[code], expected)) throw new Error(`${dtype} ${code}: ${decoded[code]}, not ${expected}`);
    }
  });

  it('gives every code back bit for bit, signalling NaNs included', () => {
    const codes = allCodes(format);
    expect(encodeFromF32(decodeToF32(codes, dtype), dtype)).toEqual(codes);
  });

  it('rounds the midpoint of every two neighbours to the even code, and what lies beside it to the nearer', () => {
    const values = finiteValues(format);
    const float = new Float32Array(1);
    const bits = new Uint32Array(float.buffer);
    for (let code = 0; code + 1 < values.length; code += 1) {
      float[0] = (values[code]! + values[code + 1]!) / 2;
      const even = code % 2 === 0 ? code : code + 1;
      const middle = bits[0]!;
      const rounded = [-1, 0, 1].map((step) => {
        bits[0] = middle + step;
        return encodeOne(float[0]!, dtype);
      });
      if (`${rounded}` !== `${[code, even, code + 1]}`) throw new Error(`${dtype} ${code}: ${rounded}`);
    }
  });

  it('keeps signs, also of zero and of NaN', () => {
    const signBit = 2 ** (8 * format.bytes - 1);
    expect(encodeOne(-0, dtype)).toBe(signBit);
    expect(encodeOne(-1, dtype)).toBe(encodeOne(1, dtype) + signBit);
    const negativeNan = new Float32Array(Uint32Array.of(0xffc0_0000).buffer);
    const bytes = encodeFromF32(negativeNan, dtype);
    expect(bytes[bytes.length - 1]! & 0x80).toBe(0x80);
    expect(decodeToF32(bytes, dtype)[0]).toBeNaN();
  });

  it('rounds beyond the largest value as the next code would: half a step is the border', () => {
    const values = finiteValues(format);
    const largest = values[values.length - 1]!;
    const step = largest - values[values.length - 2]!;
    const beyond = format.finiteOnly ? Number.NaN : Number.POSITIVE_INFINITY;
    const decoded = (value: number) => decodeToF32(encodeFromF32(Float32Array.of(value), dtype), dtype)[0];
    expect(decoded(largest + 0.4 * step)).toBe(largest);
    expect(decoded(largest + 0.6 * step)).toBe(beyond);
    expect(decoded(Number.POSITIVE_INFINITY)).toBe(beyond);
  });

  it('never turns a NaN into Inf, whatever its payload', () => {
    for (let bit = 0; bit < 23; bit += 1) {
      const nan = new Float32Array(Uint32Array.of(0x7f80_0000 + 2 ** bit).buffer);
      expect(decodeToF32(encodeFromF32(nan, dtype), dtype)[0]).toBeNaN();
    }
  });

  it('reads bytes that start at an odd address', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 40 }), fc.integer({ min: 0, max: 7 }), (data, offset) => {
        const bytes = data.subarray(0, data.length - (data.length % 2));
        const shifted = new Uint8Array(bytes.length + offset);
        shifted.set(bytes, offset);
        expect(decodeToF32(shifted.subarray(offset), dtype)).toEqual(decodeToF32(bytes, dtype));
      }),
    );
  });
});

describe('decodeToF32', () => {
  it.each(['F16', 'BF16'] as const)('widens as many %s as there are, each alike wherever it lies', (dtype) => {
    const codes = Uint16Array.from({ length: 70_001 }, (_, i) => (i * 40_503) % 65_536);
    const each = decodeToF32(allCodes({ dtype, bytes: 2, exponentBits: 0, mantissaBits: 0 }), dtype);
    const patterns = new Uint32Array(each.buffer);
    // Around whole vectors, and the strips that go through the kernel.
    for (const length of [1, 7, 8, 9, 15, 16, 17, 32_767, 32_768, 32_769, 65_543, 70_001]) {
      const target = new Float32Array(length + 9).fill(-7);
      const found = decodeInto(new Uint8Array(codes.buffer, 0, 2 * length), dtype, target);
      expect(found).toBe(length);
      const bits = new Uint32Array(target.buffer);
      for (let i = 0; i < length; i += 1) {
        if (bits[i] !== patterns[codes[i]!]) throw new Error(`${dtype}: ${i} of ${length} is ${bits[i]}`);
      }
      expect([...target.subarray(length)]).toEqual(Array(9).fill(-7));
    }
  });

  it('reads F8_E8M0 as powers of two', () => {
    const decoded = decodeToF32(
      Uint8Array.from({ length: 256 }, (_, i) => i),
      'F8_E8M0',
    );
    for (let code = 0; code < 255; code += 1) expect(decoded[code]).toBe(2 ** (code - 127));
    expect(decoded[255]).toBeNaN();
  });

  it('returns F32 bit for bit, in memory of its own', () => {
    const bits = Uint32Array.of(0x3f80_0000, 0x8000_0000, 0x7f80_0001, 0x0000_0001, 0xff80_0000);
    const bytes = new Uint8Array(bits.buffer);
    const decoded = decodeToF32(bytes, 'F32');
    expect(new Uint32Array(decoded.buffer)).toEqual(bits);
    bytes.fill(0);
    expect(decoded[0]).toBe(1);
    expect(encodeFromF32(Float32Array.of(1.5, -2), 'F32')).toEqual(new Uint8Array(Float32Array.of(1.5, -2).buffer));
  });

  it('rounds F64 to the nearest float32 and back without loss', () => {
    const decoded = decodeToF32(
      new Uint8Array(Float64Array.of(1 + 2 ** -24, 1 + 3 * 2 ** -24, 1e300, -0).buffer),
      'F64',
    );
    expect([...decoded]).toEqual([1, 1 + 2 ** -22, Number.POSITIVE_INFINITY, -0]);
    expect(new Float64Array(encodeFromF32(decoded, 'F64').buffer)[1]).toBe(1 + 2 ** -22);
  });

  it.each([
    ['I8', Int8Array.of(-128, -1, 127), [-128, -1, 127]],
    ['U8', Uint8Array.of(0, 255), [0, 255]],
    ['BOOL', Uint8Array.of(0, 1), [0, 1]],
    ['I16', Int16Array.of(-32768, 32767), [-32768, 32767]],
    ['U16', Uint16Array.of(65535), [65535]],
    ['I32', Int32Array.of(-(2 ** 31), 2 ** 24 + 1), [-(2 ** 31), 2 ** 24]],
    ['U32', Uint32Array.of(2 ** 32 - 1), [2 ** 32]],
    ['I64', BigInt64Array.of(-(2n ** 63n), 7n), [-(2 ** 63), 7]],
    ['U64', BigUint64Array.of(2n ** 64n - 1n), [2 ** 64]],
  ] as const)('reads %s', (dtype, values, expected) => {
    const bytes = new Uint8Array(values.buffer);
    expect([...decodeToF32(bytes, dtype)]).toEqual([...expected]);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect([...decodeToF32(shifted.subarray(1), dtype)]).toEqual([...expected]);
  });

  it('reads no elements as no values', () => {
    for (const dtype of ['F16', 'BF16', 'F32', 'F64', 'I64'] as const)
      expect(decodeToF32(new Uint8Array(0), dtype)).toHaveLength(0);
  });

  it('refuses types without float values by name, and parts of elements as a bug', () => {
    expect(() => decodeToF32(new Uint8Array(8), 'C64')).toThrow(
      expect.objectContaining({ code: 'unsupported', message: expect.stringContaining('C64') }),
    );
    expect(() => decodeToF32(new Uint8Array(3), 'F16')).toThrow(RangeError);
  });
});

describe('encodeFromF32', () => {
  it('refuses types that are no float format by name', () => {
    for (const dtype of ['I8', 'F4', 'C64'] as const) {
      expect(() => encodeFromF32(Float32Array.of(1), dtype)).toThrow(
        expect.objectContaining({ code: 'unsupported', message: expect.stringContaining(dtype) }),
      );
    }
  });

  it('rounds any float32 to a code that no other code is nearer than', () => {
    const f16 = FORMATS[0]!;
    const values = finiteValues(f16);
    fc.assert(
      fc.property(fc.float({ noNaN: true, min: 0, max: 65519 }), (value) => {
        const code = encodeOne(value, 'F16');
        const distance = Math.abs(values[code]! - value);
        for (const other of [code - 1, code + 1]) {
          const rival = values[other];
          if (rival !== undefined) expect(Math.abs(rival - value)).toBeGreaterThanOrEqual(distance);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('has one byte count for each element type', () => {
    for (const dtype of ['F32', 'F64', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2'] as const) {
      expect(encodeFromF32(new Float32Array(3), dtype)).toHaveLength((3 * DTYPES[dtype].bits) / 8);
    }
  });
});
