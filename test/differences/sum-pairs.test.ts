import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sumPairs } from '../../src/differences/index.js';
import { DTYPES, type Dtype, decodeToF32 } from '../../src/tensor/index.js';

/** Values of codes by the definition of IEEE 754 binary formats: sign, exponent, fraction. */
function codeValue(code: number, exponentBits: number, fractionBits: number): number {
  const sign = code >= 2 ** (exponentBits + fractionBits) ? -1 : 1;
  const exponent = Math.floor(code / 2 ** fractionBits) % 2 ** exponentBits;
  const fraction = (code % 2 ** fractionBits) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

const TYPES = [
  { dtype: 'F16', codes: Uint16Array, bits: 16, value: (code: number) => codeValue(code, 5, 10) },
  { dtype: 'BF16', codes: Uint16Array, bits: 16, value: (code: number) => codeValue(code, 8, 7) },
  { dtype: 'F32', codes: Uint32Array, bits: 32, value: (code: number) => codeValue(code, 8, 23) },
] as const;

function bytesOf(codes: Uint16Array | Uint32Array): Uint8Array {
  return new Uint8Array(codes.buffer, codes.byteOffset, codes.byteLength);
}

/** The sums as their names say, a pair at a time. */
function naiveSums(pairs: readonly { readonly x: number; readonly y: number; readonly differs: boolean }[]) {
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
        const { counts, sums } = naiveSums(
          before.map((code, i) => ({ x: value(code), y: value(after[i]!), differs: code !== after[i] })),
        );
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
      const x = codeValue(code, 5, 10);
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

/** Values by other ways than those under test, where float32 does not hold them. */
function decoded(bytes: Uint8Array, dtype: Dtype): number[] {
  if (dtype === 'F64') return [...new Float64Array(new Uint8Array(bytes).buffer)];
  if (dtype === 'I32') return [...new Int32Array(new Uint8Array(bytes).buffer)];
  return [...decodeToF32(bytes, dtype)];
}

describe('sums over pairs of types that share no bits', () => {
  /** Half of them without the bit that is the highest of a float's exponent: all finite, for the fast way. */
  const bytes = (length: number) =>
    fc
      .tuple(fc.uint8Array({ minLength: length, maxLength: length }), fc.boolean())
      .map(([any, isTame]) => (isTame ? any.map((byte) => byte & 0xbf) : any));
  const MIXED: readonly (readonly [Dtype, Dtype])[] = [
    ['Q8_0', 'Q8_0'],
    ['Q6_K', 'Q6_K'],
    ['Q4_K', 'F16'],
    ['F16', 'BF16'],
    ['F32', 'I8'],
    ['BF16', 'F64'],
    ['I32', 'I32'],
  ];

  it.each(MIXED)('%s and %s are those of a loop over the decoded values', (left, right) => {
    const [x, y] = [256 * DTYPES[left].bits, 256 * DTYPES[right].bits].map((bits) => bytes(bits / 8));
    fc.assert(
      fc.property(x!, y!, fc.boolean(), (first, second, same) => {
        const [before, after] = [first, same && left === right ? first : second];
        const found = sumPairs({ dtype: left, bytes: before }, { dtype: right, bytes: after });
        const [xs, ys] = [decoded(before, left), decoded(after, right)];
        const { counts, sums } = naiveSums(
          xs.map((x, i) => ({ x, y: ys[i]!, differs: x !== ys[i] && !(Number.isNaN(x) && Number.isNaN(ys[i])) })),
        );
        expect(found).toMatchObject(counts);
        for (const [name, expected] of Object.entries(sums)) {
          const scale = sums.squaresBefore + sums.squaresAfter;
          if (Number.isFinite(scale))
            expect(Math.abs(found[name as keyof typeof sums] - expected)).toBeLessThanOrEqual(scale * 1e-13);
        }
      }),
      { numRuns: 60 },
    );
  });
});
