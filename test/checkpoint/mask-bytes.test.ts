import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { zeroRemoved } from '../../src/checkpoint/layers/mask-bytes.js';

/** The definition, an element and a bit at a time. */
function expectedBytes(bytes: Uint8Array, elementBytes: number, bits: Uint8Array, first: number): Uint8Array {
  const result = bytes.slice();
  for (let element = 0; element < bytes.length / elementBytes; element += 1) {
    const position = first + element;
    const isKept = Math.floor(bits[Math.floor(position / 8)]! / 2 ** (position % 8)) % 2 === 1;
    if (!isKept) result.fill(0, element * elementBytes, (element + 1) * elementBytes);
  }
  return result;
}

describe('zeroRemoved', () => {
  it('by hand: of five 16-bit elements from bit 6 on, bits 01 | 101 remove the first and fourth', () => {
    const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    zeroRemoved(bytes, 2, { bits: Uint8Array.of(0b10_111111, 0b00000_101), first: 6 });
    expect([...bytes]).toEqual([0, 0, 3, 4, 5, 6, 0, 0, 9, 10]);
  });

  it('is the definition, for every element size, start and length', () => {
    // Masks with long runs of ones and zeros, which have their own paths.
    const maskByte = fc.oneof(fc.constantFrom(0, 0xff), fc.nat(255));
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 4, 8),
        fc.nat(7),
        fc.nat(40),
        fc.array(maskByte, { minLength: 6, maxLength: 6 }),
        fc.boolean(),
        (elementBytes, first, count, mask, isInside) => {
          const shift = isInside ? 8 : 0;
          const buffer = Uint8Array.from({ length: shift + count * elementBytes + shift }, (_, i) => (i % 255) + 1);
          const bytes = buffer.subarray(shift, shift + count * elementBytes);
          const bits = Uint8Array.from(mask);
          const expected = expectedBytes(bytes, elementBytes, bits, first);
          zeroRemoved(bytes, elementBytes, { bits, first });
          expect(bytes).toEqual(expected);
          // Nothing beside the range was touched.
          expect(buffer.filter((byte) => byte !== 0).length).toBe(
            2 * shift + expected.filter((byte) => byte !== 0).length,
          );
          expect(bits).toEqual(Uint8Array.from(mask));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('refuses elements of no whole power of two bytes', () => {
    expect(() => zeroRemoved(new Uint8Array(3), 3, { bits: Uint8Array.of(0), first: 0 })).toThrow(RangeError);
  });
});
