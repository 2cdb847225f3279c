import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  canRoundRows,
  decodeRows,
  dequantizeMatrix,
  openRowRounder,
  quantizeMatrix,
  roundRows,
  type Scheme,
  type SchemeOptions,
  schemeOf,
  schemes,
  toParts,
} from '../../src/quantization/index.js';
import { decodeToF32, encodeFromF32 } from '../../src/tensor/index.js';

const STORED = ['BF16', 'F16', 'F32'] as const;

/** Every scheme that the kernel takes, with scales of each type, with zero points and without. */
const taken = [...schemes].filter(([, scheme]) => canRoundRows(scheme, 'BF16')).map(([name]) => name);
const variants: readonly SchemeOptions[] = [
  {},
  { asymmetric: true },
  { groupSize: 5, asymmetric: true, scaleDtype: 'F32' },
  { groupSize: 32 },
  { groupSize: 'channel', scaleDtype: 'BF16' },
];

/** Where activations are rounded too, a scale is of a whole row, and there are no zero points. */
function variantsOf({ activations }: Scheme): readonly SchemeOptions[] {
  return activations === undefined
    ? variants
    : variants.filter(({ groupSize = 'channel', asymmetric }) => groupSize === 'channel' && !asymmetric);
}

/** Multiples of an eighth, small ones far more often: many of them lie half-way between two codes. */
const eighths = fc.integer({ min: -40, max: 40 }).map((eighth) => eighth / 8);
const anything = fc.float({ min: Math.fround(-60_000), max: Math.fround(60_000), noNaN: true });
const value = fc.oneof(eighths, eighths, anything, fc.constantFrom(0, -0, 2 ** -24, -(2 ** -20), 3e-5, 65_504));

/** A matrix of odd shape as it is stored. */
const matrices = fc
  .record({ rows: fc.integer({ min: 1, max: 4 }), columns: fc.integer({ min: 1, max: 150 }) })
  .chain(({ rows, columns }) =>
    fc.record({
      rows: fc.constant(rows),
      columns: fc.constant(columns),
      values: fc.array(value, { minLength: rows * columns, maxLength: rows * columns }),
      from: fc.constantFrom(...STORED),
    }),
  );

/** What the JavaScript makes of the same bytes. */
function expected(stored: Uint8Array, from: (typeof STORED)[number], rows: number, columns: number, scheme: Scheme) {
  const values = decodeToF32(stored, from);
  const matrix = quantizeMatrix(values, rows, columns, scheme);
  const { parts } = toParts(matrix);
  const back = dequantizeMatrix(matrix);
  const error = values.reduce((sum, x, i) => sum + (x - back[i]!) ** 2, 0);
  const norm = values.reduce((sum, x) => sum + x * x, 0);
  return {
    codes: parts.get('')!.bytes,
    scales: parts.get('_scale')!.bytes,
    zeros: parts.get('_zero_point')?.bytes,
    parts,
    back,
    error,
    norm,
  };
}

describe.each(taken)('%s rounded by the kernel', (name) => {
  it.each(variantsOf(schemes.get(name)!))('is what JavaScript makes of it: %j', (options) => {
    const scheme = schemeOf(name, options);
    fc.assert(
      fc.property(matrices, ({ rows, columns, values, from }) => {
        const bytes = encodeFromF32(Float32Array.from(values), from);
        const wanted = expected(bytes, from, rows, columns, scheme);
        const found = roundRows({ bytes, from, columns, scheme });
        expect(Buffer.from(found.codes).equals(wanted.codes)).toBe(true);
        expect(Buffer.from(found.scales).equals(wanted.scales)).toBe(true);
        expect(found.zeroPoints).toEqual(wanted.zeros);
        const decoded = decodeRows(scheme, rows, columns, (suffix) => wanted.parts.get(suffix)!.bytes);
        expect(Buffer.from(decoded.buffer).equals(Buffer.from(wanted.back.buffer))).toBe(true);
        const summed = { first: 0, elements: rows * columns };
        for (const { squares } of [found, roundRows({ bytes, from, columns, scheme, summed })]) {
          expect(Math.abs(squares.error - wanted.error)).toBeLessThanOrEqual(1e-12 * wanted.error);
          expect(Math.abs(squares.norm - wanted.norm)).toBeLessThanOrEqual(1e-12 * wanted.norm);
        }
      }),
      { numRuns: 40, seed: 4 },
    );
  });
});

describe('a rounder on threads', () => {
  it.each(['int3', 'int8'])(
    'gives the bytes of JavaScript for rows of %s that do not fit into the kernel at once',
    async (name) => {
      const [rows, columns] = [17, 40_003];
      const scheme = schemeOf(name, { asymmetric: true });
      const values = Float32Array.from({ length: rows * columns }, (_, i) => 0.02 * Math.sin(i * 1.618));
      const bytes = encodeFromF32(values, 'F16');
      const wanted = expected(bytes, 'F16', rows, columns, scheme);
      const here = roundRows({ bytes, from: 'F16', columns, scheme });
      const rounder = openRowRounder(2);
      try {
        const jobs = [0, 1].map(() => rounder.round({ bytes: bytes.slice(), from: 'F16', columns, scheme }));
        for (const { codes, scales, zeroPoints, squares } of await Promise.all(jobs)) {
          expect(Buffer.from(codes).equals(wanted.codes)).toBe(true);
          expect(Buffer.from(scales).equals(wanted.scales)).toBe(true);
          expect(Buffer.from(zeroPoints!).equals(wanted.zeros!)).toBe(true);
          expect(squares).toEqual(here.squares);
        }
      } finally {
        await rounder.close();
      }
    },
  );
});

describe('the kernel', () => {
  const int4 = schemeOf('int4');

  it('takes integers of rows alone', () => {
    expect(taken).toEqual(['int8', 'int6', 'int5', 'int4', 'int3', 'int2', 'w8a8']);
    expect(canRoundRows(schemeOf('int4', { blockShape: [2, 2] }), 'F16')).toBe(false);
    expect(canRoundRows(schemeOf('int4', { groupSize: 'tensor' }), 'F16')).toBe(false);
    expect(canRoundRows(int4, 'F64')).toBe(false);
  });

  it.each(STORED)('refuses %s that are not finite, wherever they are', (from) => {
    for (const at of [0, 3, 64, 70, 139]) {
      for (const odd of [Number.NaN, Infinity, -Infinity]) {
        const values = Float32Array.from({ length: 140 }, (_, i) => (i === at ? odd : i / 140));
        const job = { bytes: encodeFromF32(values, from), from, columns: 70, scheme: int4 };
        expect(() => roundRows(job)).toThrow(expect.objectContaining({ code: 'unsupported' }));
      }
    }
  });

  it('refuses a scale beyond its type, as JavaScript does, and bytes that are no rows', () => {
    const values = new Float32Array(64).fill(1e30);
    const job = { bytes: encodeFromF32(values, 'F32'), from: 'F32', columns: 64, scheme: int4 } as const;
    expect(() => roundRows(job)).toThrow('beyond what F16 holds');
    expect(() => roundRows({ ...job, columns: 63 })).toThrow(RangeError);
  });

  it('refuses on a thread as it does here', async () => {
    const rounder = openRowRounder(2);
    try {
      const bytes = encodeFromF32(new Float32Array(2 ** 19).fill(Number.NaN), 'BF16');
      const rounding = rounder.round({ bytes, from: 'BF16', columns: 1024, scheme: int4 });
      await expect(rounding).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('NaN') });
    } finally {
      await rounder.close();
    }
  });
});
