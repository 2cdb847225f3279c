import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { halfCode, halfValue, nearestInt } from '../../src/ggml/float32.js';
import { decodeToF32, encodeFromF32 } from '../../src/tensor/index.js';

describe('halfCode', () => {
  it('is what the encoder of F16 gives: every half, what lies between two, and any float32', () => {
    const all = decodeToF32(new Uint8Array(Uint16Array.from({ length: 0x7c01 }, (_, i) => i).buffer), 'F16');
    const between = all.slice(0, -2).map((value, i) => (value + all[i + 1]!) / 2);
    const values = Float32Array.of(...all, ...between, 65_519.996, 65_520, 1e30);
    for (const sign of [1, -1]) {
      const signed = values.map((value) => sign * value);
      const expected = new Uint16Array(encodeFromF32(signed, 'F16').buffer);
      expect(Uint16Array.from(signed, halfCode)).toEqual(expected);
    }
    fc.assert(
      fc.property(fc.float({ noNaN: true }), (value) => {
        return halfCode(value) === new Uint16Array(encodeFromF32(Float32Array.of(value), 'F16').buffer)[0];
      }),
    );
  });

  it('is the inverse of halfValue', () => {
    for (let code = 0; code < 0x7c00; code += 1) {
      expect(halfCode(halfValue(code))).toBe(code);
      expect(halfValue(code | 0x8000)).toBe(-halfValue(code));
    }
  });
});

describe('nearestInt', () => {
  it.each([
    [0.5, 0],
    [1.5, 2],
    [2.5, 2],
    [-0.5, 0],
    [-1.5, -2],
    [0.49999997, 0],
    [-3.7, -4],
    [4_000_000.25, 4_000_000],
  ])('takes %s to %s', (value, whole) => {
    expect(nearestInt(Math.fround(value))).toBe(whole);
  });
});
