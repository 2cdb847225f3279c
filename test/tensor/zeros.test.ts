import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countZeros } from '../../src/tensor/zeros.js';

const bytesOf = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

describe('countZeros', () => {
  it('counts as a plain loop over the values does, negative zeros included', () => {
    const value = fc.oneof(fc.constantFrom(0, -0, Number.MIN_VALUE, 1e-45, -1), fc.float({ noNaN: true }));
    fc.assert(
      fc.property(fc.array(value, { maxLength: 70 }), (values) => {
        const f32 = Float32Array.from(values);
        const f64 = Float64Array.from(values);
        expect(countZeros(bytesOf(f32), 'F32')).toBe([...f32].filter((element) => element === 0).length);
        expect(countZeros(bytesOf(f64), 'F64')).toBe([...f64].filter((element) => element === 0).length);
      }),
    );
  });

  it('knows the sign of half floats, and that integers have none', () => {
    const words = bytesOf(Uint16Array.of(0x0000, 0x8000, 0x0001, 0x3f80));
    expect(countZeros(words, 'BF16')).toBe(2);
    expect(countZeros(words, 'F16')).toBe(2);
    expect(countZeros(words, 'U16')).toBe(1);
    expect(countZeros(Uint8Array.of(0x00, 0x80, 0x01), 'F8_E4M3')).toBe(2);
    expect(countZeros(Uint8Array.of(0x00, 0x80, 0x01), 'I8')).toBe(1);
  });

  it('takes bytes that lie anywhere in their buffer', () => {
    const bytes = new Uint8Array(1 + 12);
    bytes.set(bytesOf(Float32Array.of(0, 1, -0)), 1);
    expect(countZeros(bytes.subarray(1), 'F32')).toBe(2);
  });

  it('does not guess at elements that share a byte, or that have no zero', () => {
    expect(countZeros(new Uint8Array(4), 'F4')).toBeUndefined();
    expect(countZeros(new Uint8Array(4), 'F8_E8M0')).toBe(0);
  });
});
