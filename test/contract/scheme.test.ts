import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  dequantizeMatrix,
  elementsOf,
  type QuantizedMatrix,
  quantizeMatrix,
  type ScaleSearch,
  type Scheme,
  type SchemeOptions,
  schemeOf,
  schemes,
  tilesOf,
} from '../../src/quantization/index.js';

/** What is varied of every scheme of each type; a scheme that is added is tried with all of its type's by itself. */
const VARIANTS: Record<Scheme['type'], readonly SchemeOptions[]> = {
  int: [
    {},
    { groupSize: 'tensor' },
    { groupSize: 'channel', scaleDtype: 'F32' },
    { groupSize: 7, scaleDtype: 'BF16' },
    { blockShape: [2, 3] },
    { asymmetric: true },
    { groupSize: 4, asymmetric: true },
    { groupSize: 'tensor', asymmetric: true, scaleDtype: 'F32' },
  ],
  float: [{}, { groupSize: 'tensor' }, { groupSize: 5 }, { blockShape: [3, 4], scaleDtype: 'BF16' }],
  codebook: [{}, { groupSize: 3 }],
};

/** Half-quadratic splitting is for integers alone. */
const searchesOf = ({ type }: Scheme): readonly ScaleSearch[] =>
  type === 'int' ? ['absmax', 'mse', 'hqq'] : ['absmax', 'mse'];

/** The options that a scheme takes: one of 16 bits has none, one with codes for scales takes them in no other type. */
function variantsOf(name: string): Scheme[] {
  const scheme = schemes.get(name)!;
  if (scheme.bits === 16) return [scheme];
  return VARIANTS[scheme.type]
    .filter(({ scaleDtype }) => !(scheme.doubleQuantization && scaleDtype))
    .filter(({ asymmetric, groupSize, blockShape }) => {
      const inGroups = typeof groupSize === 'number' || blockShape !== undefined;
      return scheme.activations === undefined || !(asymmetric || inGroups);
    })
    .map((options) => schemeOf(name, options));
}

const matrices = fc
  .record({
    rows: fc.integer({ min: 1, max: 5 }),
    columns: fc.integer({ min: 1, max: 17 }),
    exponent: fc.integer({ min: -8, max: 6 }),
    shift: fc.constantFrom(0, 0, 0.5, -2),
    seed: fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 85, maxLength: 85 }),
  })
  .map(({ rows, columns, exponent, shift, seed }) => ({
    rows,
    columns,
    values: Float32Array.from(seed.slice(0, rows * columns), (x) => (x / 1000 + shift) * 2 ** exponent),
  }));

/** Scale and zero of each element, found from the grid by the definition of its strategy. */
function parametersOf({ scheme, rows, columns, scales }: QuantizedMatrix, element: number) {
  const { tileRows, tileColumns, grid } = tilesOf(scheme, rows, columns);
  const [row, column] = [Math.floor(element / columns), element % columns];
  const tile = Math.floor(row / tileRows) * grid[1] + Math.floor(column / tileColumns);
  const zero = scales.zeroPoints?.[tile] ?? (scheme.type === 'int' ? 2 ** (scheme.bits - 1) : 0);
  return { scale: scales.values[tile]!, zero };
}

describe.each([...schemes.keys()])('scheme %s', (name) => {
  const variants = variantsOf(name);
  const searches = fc.constantFrom(...searchesOf(schemes.get(name)!));

  it('gives every element the nearest value of those that its codes stand for', () => {
    fc.assert(
      fc.property(matrices, fc.constantFrom(...variants), searches, (matrix, scheme, search) => {
        if (scheme.bits === 16) return;
        const { values, rows, columns } = matrix;
        const quantized = quantizeMatrix(values, rows, columns, scheme, { search });
        const back = dequantizeMatrix(quantized);
        const levels = [...elementsOf(scheme).levels].filter(Number.isFinite);
        for (const [i, value] of values.entries()) {
          const { scale, zero } = parametersOf(quantized, i);
          const nearest = Math.min(...levels.map((level) => Math.abs(value - (level - zero) * scale)));
          const rounding = 1e-6 * (Math.abs(value) + Math.abs(scale) * 2 ** (scheme.bits - 1));
          expect(Math.abs(value - back[i]!)).toBeLessThanOrEqual(nearest + rounding);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('errs by half a step at most, inside the range that it does not clip', () => {
    fc.assert(
      fc.property(matrices, fc.constantFrom(...variants), (matrix, scheme) => {
        if (scheme.type !== 'int') return;
        const { values, rows, columns } = matrix;
        const quantized = quantizeMatrix(values, rows, columns, scheme);
        const back = dequantizeMatrix(quantized);
        for (const [i, value] of values.entries()) {
          const { scale, zero } = parametersOf(quantized, i);
          const [least, most] = [-zero * scale, (2 ** scheme.bits - 1 - zero) * scale];
          if (value < least - scale / 2 || value > most + scale / 2) continue;
          expect(Math.abs(value - back[i]!)).toBeLessThanOrEqual((scale / 2) * (1 + 1e-4));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('gives the same codes for what its codes stand for, under the same scales', () => {
    fc.assert(
      fc.property(matrices, fc.constantFrom(...variants), ({ values, rows, columns }, scheme) => {
        const first = quantizeMatrix(values, rows, columns, scheme);
        const again = quantizeMatrix(dequantizeMatrix(first), rows, columns, scheme, { scales: first.scales });
        expect(dequantizeMatrix(again)).toEqual(dequantizeMatrix(first));
      }),
      { numRuns: 60 },
    );
  });

  it('keeps zeros, whatever stands beside them', () => {
    fc.assert(
      fc.property(matrices, fc.constantFrom(...variants), searches, (matrix, scheme, search) => {
        const values = matrix.values.map((value, i) => (i % 3 === 0 ? 0 : value));
        const back = dequantizeMatrix(quantizeMatrix(values, matrix.rows, matrix.columns, scheme, { search }));
        for (let i = 0; i < values.length; i += 3) expect(Math.abs(back[i]!)).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('leaves its input alone, and gives the same again', () => {
    const values = Float32Array.from({ length: 6 * 9 }, (_, i) => Math.sin(i * 1.7));
    const before = values.slice();
    for (const scheme of variants) {
      for (const search of searchesOf(scheme)) {
        const once = quantizeMatrix(values, 6, 9, scheme, { search });
        expect(quantizeMatrix(values, 6, 9, scheme, { search })).toEqual(once);
        expect(values).toEqual(before);
      }
    }
  });

  it('refuses values that are not finite', () => {
    for (const scheme of variants.filter(({ bits }) => bits < 16)) {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const values = Float32Array.of(1, 2, bad, -1);
        expect(() => quantizeMatrix(values, 2, 2, scheme)).toThrow(
          expect.objectContaining({ code: 'unsupported', message: expect.stringContaining('NaN or infinite') }),
        );
      }
    }
  });
});
