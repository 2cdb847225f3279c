import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maskToBytes, parsePattern } from '../../src/sparsity/index.js';
import { keepOracle } from './oracle.js';

async function keep(text: string, values: readonly number[], rows = 1) {
  const pattern = await parsePattern(text);
  if (pattern.kind !== 'fixed') throw new Error(`${text} fixes the sparsity`);
  const scores = { name: 'w', rows, columns: values.length / rows, values: Float32Array.from(values) };
  return [...maskToBytes(pattern.mask(scores))];
}

describe('N:M', () => {
  it('keeps N of every M consecutive inputs, by hand', async () => {
    expect(await keep('2:4', [4, 1, 3, 2, /**/ 1, 1, 1, 1, /**/ 0, 0, 0, 9])).toEqual([
      1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 1,
    ]);
    expect(await keep('1:3', [5, 6, 7, /**/ 7, 6, 5])).toEqual([0, 0, 1, 1, 0, 0]);
  });

  it('keeps min(N, length) of a last, shorter group, and starts anew in each row', async () => {
    // Rows of 6 under 2:4: four and two.  Rows of 7 under 2:4: four and three.
    expect(await keep('2:4', [1, 2, 3, 4, 9, 8, /**/ 4, 3, 2, 1, 8, 9], 2)).toEqual([
      0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1,
    ]);
    expect(await keep('2:4', [1, 2, 3, 4, 9, 8, 7])).toEqual([0, 0, 1, 1, 1, 1, 0]);
    expect(await keep('3:8', [1, 2])).toEqual([1, 1]);
  });

  it('equals plain sorting of every group, for small and large M', async () => {
    const score = fc.oneof(fc.constantFrom(0, 1, 2), fc.float({ min: 0, max: 8, noNaN: true }));
    const shape = fc
      .record({ m: fc.integer({ min: 2, max: 40 }), rows: fc.integer({ min: 1, max: 4 }) })
      .chain(({ m, rows }) =>
        fc.record({
          m: fc.constant(m),
          n: fc.integer({ min: 1, max: m - 1 }),
          rows: fc.constant(rows),
          columns: fc.integer({ min: 1, max: 90 }),
        }),
      );
    const matrix = shape.chain((s) =>
      fc.tuple(fc.constant(s), fc.array(score, { minLength: s.rows * s.columns, maxLength: s.rows * s.columns })),
    );
    await fc.assert(
      fc.asyncProperty(matrix, async ([{ n, m, rows, columns }, values]) => {
        const expected: boolean[] = [];
        for (let row = 0; row < rows; row++) {
          for (let start = 0; start < columns; start += m) {
            const group = values.slice(row * columns + start, row * columns + Math.min(start + m, columns));
            expected.push(...keepOracle(group, group.length - Math.min(n, group.length)));
          }
        }
        expect((await keep(`${n}:${m}`, values, rows)).map(Boolean)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it('says how much it removes', async () => {
    for (const [text, sparsity] of [
      ['2:4', 0.5],
      ['1:4', 0.75],
      ['4:8', 0.5],
      ['3:16', 0.8125],
    ] as const) {
      expect(await parsePattern(text)).toMatchObject({ kind: 'fixed', name: text, sparsity });
    }
  });
});

describe('parsePattern', () => {
  it('says what is wrong, what is allowed and what to try', async () => {
    await expect(parsePattern('4:2')).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('N at least 1 and less than M'),
      suggestions: expect.arrayContaining(['Did you mean 2:4?']),
    });
    for (const text of ['0:4', '4:4', '0:0', '1:1', '1:99999999999999999999']) {
      await expect(parsePattern(text)).rejects.toMatchObject({ code: 'usage' });
    }
    for (const text of ['', 'nm', '2:', ':4', '2:4:8', '-1:4', '2.5:4', ' 2:4', 'Unstructured']) {
      await expect(parsePattern(text)).rejects.toMatchObject({
        code: 'usage',
        message: expect.stringContaining(`There is no pattern "${text}". Known: unstructured, N:M`),
      });
    }
  });

  it('writes a pattern in one way', async () => {
    expect((await parsePattern('02:04')).name).toBe('2:4');
  });
});
