import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EncodableDtype, encodeRows, ggmlEncoders, openRowEncoder } from '../../src/ggml/index.js';
import { DTYPES, decodeToF32, encodeFromF32 } from '../../src/tensor/index.js';
import { randomSource } from '../ggml/random.js';
import { referenceValues } from '../ggml/reference-search.js';
import { rowsOfWeights } from '../ggml/rows.js';
import { dequantizeWithGgml, llamaMissing } from '../llama/llama.js';

/**
 * The beginnings of sha256 of what `ggml_quantize_chunk` of llama.cpp's own libggml-base makes of `rowsOfWeights`, without and with the
 * weights (the library that ships with node-llama-cpp 3.22.1, called by way of Python's ctypes).
 */
const GGML_DIGESTS: Readonly<Record<EncodableDtype, readonly [plain: string, weighted: string]>> = {
  Q8_0: ['7fe51b877968d84e64dabbc8a30e655b', '7fe51b877968d84e64dabbc8a30e655b'],
  Q4_0: ['c332a0773418a44a2b13d3413fa5eacf', '4ed9f59d2f6c3bee533dfdee65cb5c1b'],
  Q4_1: ['29f596540931388678e41dd8eb216a35', '111fe9115d5fc69edd5622c1788403ba'],
  Q5_0: ['3f8dee16a08c7a635e352ce919ee3eab', '69fd4f8f47cdc9ed5eb8d7732f30c468'],
  Q5_1: ['dd4bd42df8b3e633a1dd4f6c38b6d828', '1601457b4dcceabb1750064e4fca1f5a'],
  Q6_K: ['cac21ea29df006f3a6f2ff9d81796a38', 'e6c984540fc7cce5a5a7accf2c8e9e4b'],
  Q5_K: ['6e348e01543b9a40b6db9b857edfa7f4', '45704dbf8abd5ba865cab41a9a0366a9'],
  Q4_K: ['81aaf22b75dce2490869109914538d06', '6b51411789428cb87f39ccef4c8d234f'],
  Q3_K: ['58ce256fa8be42c9eb2206202b0d506c', '5c09b2f852e3f091728e63f0c0a1efb5'],
  Q2_K: ['471ca19542bdc787414667245c80a526', 'c792e8cd1a116b0126052798334e7784'],
};

const rows = rowsOfWeights();
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex').slice(0, 32);
const meanSquaredError = (found: ArrayLike<number>, values: Float32Array) =>
  values.reduce((sum, x, i) => sum + (found[i]! - x) ** 2, 0) / values.length;

describe.each(Object.keys(ggmlEncoders) as EncodableDtype[])('%s', (dtype) => {
  const { blockElements, blockBytes } = DTYPES[dtype];

  it("makes ggml's own bytes, without and with importance weights", () => {
    const { values, columns, weights } = rows;
    const found = [undefined, weights].map((given) => digest(encodeRows(dtype, values, columns, given)));
    expect(found).toEqual(GGML_DIGESTS[dtype]);
  });

  it.skipIf(llamaMissing !== undefined)('stands for the same values in llama.cpp as in our decoder', () => {
    const bytes = encodeRows(dtype, rows.values, rows.columns);
    const [ours, theirs] = [decodeToF32(bytes, dtype), dequantizeWithGgml(dtype, bytes)];
    expect(Buffer.compare(Buffer.from(ours.buffer), Buffer.from(theirs.buffer))).toBe(0);
  });

  it('loses no more than 1.02 times what a plain search in float64 loses', () => {
    const { normal } = randomSource(7);
    const values = Float32Array.from({ length: 24 * 256 }, () => 0.05 * normal());
    const ours = meanSquaredError(decodeToF32(encodeRows(dtype, values, 256), dtype), values);
    expect(ours).toBeLessThanOrEqual(1.02 * meanSquaredError(referenceValues(dtype, values), values));
  });

  it('encodes each row by itself, and what it has decoded to nearly the same', () => {
    const { values, columns, weights } = rows;
    const whole = encodeRows(dtype, values, columns, weights);
    const rowBytes = (columns / blockElements) * blockBytes;
    const third = encodeRows(dtype, values.slice(2 * columns, 3 * columns), columns, weights);
    expect(Buffer.compare(third, whole.subarray(2 * rowBytes, 3 * rowBytes))).toBe(0);
    const decoded = decodeToF32(encodeRows(dtype, values.slice(0, columns), columns), dtype);
    const again = decodeToF32(encodeRows(dtype, decoded, columns), dtype);
    const [energy, lost] = [meanSquaredError(new Float32Array(columns), decoded), meanSquaredError(again, decoded)];
    expect(lost).toBeLessThan(0.02 * energy);
  });

  it('keeps every value within the spread of its block, whatever the values', () => {
    const anyValues = fc.array(fc.float({ min: -60_000, max: 60_000, noNaN: true }), {
      minLength: 256,
      maxLength: 256,
    });
    fc.assert(
      fc.property(anyValues, (list) => {
        const values = Float32Array.from(list);
        const decoded = decodeToF32(encodeRows(dtype, values, 256), dtype);
        const largest = values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        return decoded.every((x) => Number.isFinite(x) && Math.abs(x) <= 1.6 * largest + 1e-5);
      }),
      { numRuns: 40, seed: 3 },
    );
  });

  it('leaves its input as it is, and gives zeros for zeros', () => {
    const values = new Float32Array(512);
    const decoded = decodeToF32(encodeRows(dtype, values, 512), dtype);
    expect(decoded.every((x) => x === 0)).toBe(true);
    const given = rows.values.slice();
    encodeRows(dtype, given, rows.columns, rows.weights.slice());
    expect(given).toEqual(rows.values);
  });

  it.each([Number.NaN, Infinity, -Infinity, 70_000])('refuses %s', (value) => {
    const values = new Float32Array(256);
    values[77] = value;
    expect(() => encodeRows(dtype, values, 256)).toThrow(
      expect.objectContaining({ code: 'unsupported', message: expect.stringContaining(dtype) }),
    );
  });

  it('takes whole rows of whole blocks, and weights for all columns', () => {
    const values = new Float32Array(512);
    expect(() => encodeRows(dtype, values, blockElements - 1)).toThrow(RangeError);
    expect(() => encodeRows(dtype, values, 0)).toThrow(RangeError);
    expect(() => encodeRows(dtype, values.subarray(1), 256)).toThrow(RangeError);
    for (const weights of [
      new Float32Array(255),
      new Float32Array(256).fill(-1),
      new Float32Array(256).fill(Infinity),
    ]) {
      expect(() => encodeRows(dtype, values, 256, weights)).toThrow(RangeError);
    }
  });
});

describe('an encoder on threads', () => {
  const columns = 1024;
  const { normal } = randomSource(99);
  const values = Float32Array.from({ length: 301 * columns }, () => 0.02 * normal());
  const half = encodeFromF32(values, 'F16');
  const weights = Float32Array.from({ length: columns }, (_, i) => 1 + (i % 7));

  it.each([1, 2, 3])('on %i: the bytes of encodeRows, one job after the other or at once', async (threads) => {
    const encoder = openRowEncoder(threads);
    try {
      const expected = encodeRows('Q4_K', decodeToF32(half, 'F16'), columns, weights);
      const job = { bytes: half, from: 'F16', to: 'Q4_K', columns, weights } as const;
      const found = await Promise.all([encoder.encode(job), encoder.encode(job)]);
      for (const bytes of found) expect(Buffer.compare(bytes, expected)).toBe(0);
      expect(half.length).toBe(2 * values.length);
    } finally {
      await encoder.close();
    }
  });

  it('says which value cannot be stored, from the thread as from here', async () => {
    const encoder = openRowEncoder(2);
    try {
      const bytes = half.slice();
      bytes.set([0x00, 0x7c], 2 * 300_000);
      const encoding = encoder.encode({ bytes, from: 'F16', to: 'Q6_K', columns });
      await expect(encoding).rejects.toMatchObject({
        code: 'unsupported',
        message: expect.stringContaining('Infinity'),
      });
      await expect(encoder.encode({ bytes: half, from: 'F16', to: 'Q6_K', columns })).resolves.toHaveLength(
        301 * 4 * 210,
      );
    } finally {
      await encoder.close();
    }
  });

  it('rejects what it has not done when it is closed', async () => {
    const encoder = openRowEncoder(2);
    const encoding = encoder.encode({ bytes: half, from: 'F16', to: 'Q2_K', columns });
    const rejected = expect(encoding).rejects.toThrow('ended');
    await encoder.close();
    await rejected;
  });
});
