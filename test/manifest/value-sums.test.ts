import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sumPairs } from '../../src/manifest/value-sums.js';

/** Values of codes by the definition of IEEE 754 binary formats: sign, exponent, fraction. */
function valueOf(code: number, exponentBits: number, fractionBits: number): number {
  const sign = code >= 2 ** (exponentBits + fractionBits) ? -1 : 1;
  const exponent = Math.floor(code / 2 ** fractionBits) % 2 ** exponentBits;
  const fraction = (code % 2 ** fractionBits) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

const TYPES = [
  { dtype: 'F16', codes: Uint16Array, bits: 16, value: (code: number) => valueOf(code, 5, 10) },
  { dtype: 'BF16', codes: Uint16Array, bits: 16, value: (code: number) => valueOf(code, 8, 7) },
  { dtype: 'F32', codes: Uint32Array, bits: 32, value: (code: number) => valueOf(code, 8, 23) },
] as const;

function bytesOf(codes: Uint16Array | Uint32Array): Uint8Array {
  return new Uint8Array(codes.buffer, codes.byteOffset, codes.byteLength);
}

/** The sums as their names say, a pair at a time. */
function naiveSums(before: readonly number[], after: readonly number[], value: (code: number) => number) {
  const pairs = before.map((code, i) => ({ x: value(code), y: value(after[i]!), differs: code !== after[i] }));
  const finite = pairs.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  const total = (term: (x: number, y: number) => number) => finite.reduce((sum, { x, y }) => sum + term(x, y), 0);
  return {
    counts: {
      elements: pairs.length,
      changed: pairs.filter(({ differs }) => differs).length,
      zerosBefore: pairs.filter(({ x }) => x === 0).length,
      zerosAfter: pairs.filter(({ y }) => y === 0).length,
      nonFiniteBefore: pairs.filter(({ x }) => !Number.isFinite(x)).length,
      nonFiniteAfter: pairs.filter(({ y }) => !Number.isFinite(y)).length,
      largestSquare: finite.reduce((most, { x, y }) => Math.max(most, (y - x) ** 2), 0),
    },
    sums: {
      squaresBefore: total((x) => x * x),
      squaresAfter: total((_, y) => y * y),
      products: total((x, y) => x * y),
      squaresOfChange: total((x, y) => (y - x) ** 2),
    },
  };
}

describe.each(TYPES)('sums over pairs of $dtype', ({ dtype, codes, bits, value }) => {
  const code = fc.oneof(
    fc.integer({ min: 0, max: 2 ** bits - 1 }),
    fc.constantFrom(0, 1, 2 ** (bits - 1), 2 ** (bits - 1) + 1),
  );
  const pair = fc.oneof(
    fc.tuple(code, code),
    code.map((same) => [same, same] as const),
  );

  it('are those of a loop over the values, whatever the codes', () => {
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 70 }), (pairs) => {
        const [before, after] = [pairs.map(([x]) => x), pairs.map(([, y]) => y)];
        const found = sumPairs(
          { dtype, bytes: bytesOf(codes.from(before)) },
          { dtype, bytes: bytesOf(codes.from(after)) },
        );
        const { counts, sums } = naiveSums(before, after, value);
        expect(found).toMatchObject(counts);
        for (const [name, expected] of Object.entries(sums)) {
          // Addition in another order: as far off as rounding each of the terms, which the squares bound.
          const scale = sums.squaresBefore + sums.squaresAfter;
          expect(Math.abs(found[name as keyof typeof sums] - expected)).toBeLessThanOrEqual(scale * 1e-13);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('are the same for bytes at an odd address', () => {
    const values = codes.from(Array.from({ length: 37 }, (_, i) => (i * 2654435761) % 2 ** (bits - 2)));
    const odd = new Uint8Array(values.byteLength + 1);
    odd.set(bytesOf(values), 1);
    const zeros = new Uint8Array(values.byteLength);
    const straight = sumPairs({ dtype, bytes: bytesOf(values) }, { dtype, bytes: zeros });
    expect(sumPairs({ dtype, bytes: odd.subarray(1) }, { dtype, bytes: zeros })).toEqual(straight);
  });
});

describe('sums over pairs of F16', () => {
  it('take every finite code for what it is', () => {
    for (let code = 0; code < 0x10000; code += 1) {
      const x = valueOf(code, 5, 10);
      if (!Number.isFinite(x)) continue;
      const found = sumPairs(
        { dtype: 'F16', bytes: bytesOf(Uint16Array.of(code)) },
        { dtype: 'F16', bytes: bytesOf(Uint16Array.of(0x3c00)) },
      );
      // Exact: one product of 11-bit fractions; the other pairs of the turn are zeros. A sum has no -0.
      expect(found.products === x).toBe(true);
    }
  });
});
