import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  combineMasks,
  density,
  fullMask,
  isKept,
  keptCount,
  maskBytes,
  maskFrom,
  maskToBytes,
  sparsity,
} from '../../src/sparsity/index.js';

const flags = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 21 })).chain(([rows, columns]) =>
  fc.record({
    rows: fc.constant(rows),
    columns: fc.constant(columns),
    keep: fc.array(fc.boolean(), { minLength: rows * columns, maxLength: rows * columns }),
  }),
);

describe('mask layout', () => {
  it('is row-major, lowest bit first, padding bits 0', () => {
    // 2 × 5: row 0 keeps columns 0 and 3, row 1 keeps column 4 (bit 9 = byte 1, bit 1).
    const mask = maskFrom([1, 0, 0, 1, 0, 0, 0, 0, 0, 1], 2, 5);
    expect([...mask.bits]).toEqual([0b0000_1001, 0b0000_0010]);
    expect(isKept(mask, 0, 3)).toBe(true);
    expect(isKept(mask, 1, 3)).toBe(false);
    expect(isKept(mask, 1, 4)).toBe(true);
    expect([...fullMask(2, 5).bits]).toEqual([0b1111_1111, 0b0000_0011]);
    expect([...fullMask(2, 4).bits]).toEqual([0b1111_1111]);
  });

  it('needs one byte per eight weights, rounded up', () => {
    expect([1, 8, 9, 16].map(maskBytes)).toEqual([1, 1, 2, 2]);
  });

  it('refuses flags that are not the matrix', () => {
    expect(() => maskFrom([1, 0, 1], 2, 2)).toThrow('3 flags for a 2 × 2 mask');
  });
});

describe('mask figures', () => {
  it('count what the flags say, through bits and back', () => {
    fc.assert(
      fc.property(flags, ({ rows, columns, keep }) => {
        const mask = maskFrom(keep, rows, columns);
        const kept = keep.filter(Boolean).length;
        expect([...maskToBytes(mask)].map(Boolean)).toEqual(keep);
        expect(keptCount(mask)).toBe(kept);
        expect(density(mask)).toBe(kept / keep.length);
        expect(sparsity(mask)).toBeCloseTo(1 - kept / keep.length, 15);
      }),
    );
  });

  it('of a full mask are all of it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), (rows, columns) => {
        expect(keptCount(fullMask(rows, columns))).toBe(rows * columns);
      }),
    );
  });
});

describe('combineMasks', () => {
  it('keeps what all keep and leaves its arguments alone', () => {
    fc.assert(
      fc.property(flags, fc.infiniteStream(fc.boolean()), ({ rows, columns, keep }, stream) => {
        const other = keep.map(() => stream.next().value as boolean);
        const first = maskFrom(keep, rows, columns);
        const before = [...first.bits];
        const both = combineMasks(first, maskFrom(other, rows, columns));
        expect([...maskToBytes(both)].map(Boolean)).toEqual(keep.map((kept, i) => kept && other[i]!));
        expect([...first.bits]).toEqual(before);
      }),
    );
  });

  it('refuses masks of different matrices', () => {
    expect(() => combineMasks(fullMask(2, 3), fullMask(3, 2))).toThrow('2 × 3 and 3 × 2');
  });
});
