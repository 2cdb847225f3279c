import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHUNK_ELEMENTS, ChunkSums, rowsOfWholeChunks, sumPairs } from '../../src/differences/index.js';
import { decodeRows, roundRows, schemeOf } from '../../src/quantization/index.js';
import { encodeFromF32 } from '../../src/tensor/index.js';

const ELEMENTS = 2 * CHUNK_ELEMENTS + 1236;
const values = Float32Array.from({ length: ELEMENTS }, (_, i) => (i % 11 === 0 ? 0 : 0.02 * Math.sin(i * 1.618)));
const rounded = values.map((value) => Math.round(value * 300) / 300);
const after = { dtype: 'F32', bytes: new Uint8Array(rounded.buffer) } as const;

/** What a diff makes of the chunk. */
function expected(before: { dtype: 'F16' | 'BF16' | 'F32'; bytes: Uint8Array }, chunk: number) {
  const end = Math.min((chunk + 1) * CHUNK_ELEMENTS, ELEMENTS);
  const part = ({ dtype, bytes }: { dtype: 'F16' | 'BF16' | 'F32'; bytes: Uint8Array }) => {
    const size = bytes.length / ELEMENTS;
    return { dtype, bytes: bytes.subarray(chunk * CHUNK_ELEMENTS * size, end * size) };
  };
  return sumPairs(part(before), part(after));
}

describe('sums of chunks on the way', () => {
  it.each(['F16', 'BF16', 'F32'] as const)(
    'are those of a diff to the last digit, from %s, however it is cut',
    (dtype) => {
      const before = { dtype, bytes: encodeFromF32(values, dtype) };
      const size = before.bytes.length / ELEMENTS;
      const wanted = [0, 1, 2].map((chunk) => ({ chunk, sums: expected(before, chunk) }));
      const start = fc.integer({ min: 0, max: 300_000 }).map((fours) => 4 * fours);
      const pieces = fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 4 });
      fc.assert(
        fc.property(fc.oneof(fc.constant(0), start), pieces, (first, lengths) => {
          const walk = new ChunkSums({ first, elements: ELEMENTS }, dtype === 'F32' ? 'bits' : 'values');
          for (let at = first, turn = 0; at < ELEMENTS; turn += 1) {
            const end = Math.min(ELEMENTS, at + 4 * lengths[turn % lengths.length]!);
            walk.add(
              { dtype, bytes: before.bytes.subarray(at * size, end * size) },
              { dtype: 'F32', bytes: after.bytes.subarray(at * 4, end * 4) },
            );
            at = end;
          }
          expect(walk.chunks).toEqual(wanted.filter(({ chunk }) => chunk * CHUNK_ELEMENTS >= first));
        }),
        { numRuns: 6, seed: 7 },
      );
    },
  );

  it('leave out a chunk with elements that are not finite', () => {
    const odd = rounded.slice();
    odd[CHUNK_ELEMENTS + 5] = Number.NaN;
    const walk = new ChunkSums({ first: 0, elements: ELEMENTS }, 'values');
    walk.add(
      { dtype: 'BF16', bytes: encodeFromF32(values, 'BF16') },
      { dtype: 'F32', bytes: new Uint8Array(odd.buffer) },
    );
    expect(walk.chunks.map(({ chunk }) => chunk)).toEqual([0, 2]);
  });

  it('come with rounded rows, and are those of what the rows decode to', () => {
    const [rows, columns] = [300, 4096];
    const scheme = schemeOf('int4', { groupSize: 64 });
    const bytes = encodeFromF32(values.subarray(0, rows * columns), 'F16');
    const job = { bytes, from: 'F16', columns, scheme } as const;
    const { codes, scales, chunks } = roundRows({ ...job, summed: { first: 0, elements: rows * columns } });
    const back = decodeRows(scheme, rows, columns, (suffix) => (suffix === '' ? codes : scales));
    const part = (chunk: number) => {
      const [first, end] = [chunk * CHUNK_ELEMENTS, Math.min(rows * columns, (chunk + 1) * CHUNK_ELEMENTS)];
      return sumPairs(
        { dtype: 'F16', bytes: bytes.subarray(2 * first, 2 * end) },
        { dtype: 'F32', bytes: new Uint8Array(back.buffer, 4 * first, 4 * (end - first)) },
      );
    };
    expect(chunks).toEqual([0, 1].map((chunk) => ({ chunk, sums: part(chunk) })));
    expect(roundRows(job).chunks).toBeUndefined();
  });

  it('have the squares of rounded rows where these are whole chunks, and nothing is left out where they are not', () => {
    const columns = 4096;
    const [scheme, rowsOfChunk] = [schemeOf('int4', { groupSize: 64 }), CHUNK_ELEMENTS / columns];
    const rounded = (firstRow: number, rows: number, elements: number) => {
      const first = firstRow * columns;
      const bytes = encodeFromF32(values.subarray(first, first + rows * columns), 'F16');
      return roundRows({ bytes, from: 'F16', columns, scheme, summed: { first, elements } });
    };
    const whole = rounded(rowsOfChunk, rowsOfChunk, 4 * CHUNK_ELEMENTS);
    expect(whole.chunks!.map(({ chunk }) => chunk)).toEqual([1]);
    expect(whole.squares.error).toBe(whole.chunks![0]!.sums.squaresOfChange);
    expect(whole.squares.norm).toBe(whole.chunks![0]!.sums.squaresBefore);
    // The same rows in two halves, of which neither has a chunk.
    const halves = [rowsOfChunk, 1.5 * rowsOfChunk].map((row) => rounded(row, rowsOfChunk / 2, 4 * CHUNK_ELEMENTS));
    expect(halves.map(({ chunks }) => chunks)).toEqual([[], []]);
    for (const key of ['error', 'norm'] as const) {
      const total = halves.reduce((sum, { squares }) => sum + squares[key], 0);
      expect(Math.abs(total - whole.squares[key])).toBeLessThanOrEqual(1e-12 * total);
    }
  });

  it.each([
    [4096, 256],
    [14_336, 512],
    [11_008, 4096],
    [1, CHUNK_ELEMENTS],
    [CHUNK_ELEMENTS, 1],
    [6 * CHUNK_ELEMENTS, 1],
  ])('end with rows of %i elements after %i of them', (columns, rows) => {
    expect(rowsOfWholeChunks(columns)).toBe(rows);
    expect((rows * columns) % CHUNK_ELEMENTS).toBe(0);
    expect(rows === 1 || ((rows / 2) * columns) % CHUNK_ELEMENTS !== 0).toBe(true);
  });
});
